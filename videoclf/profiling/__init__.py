"""What a model costs and sees, layer by layer: sizes, receptive fields, operations, memory, time."""
