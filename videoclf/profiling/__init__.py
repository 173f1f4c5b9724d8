"""What a model costs and sees, layer by layer: sizes, fields, operations, memory, time."""
