"""The command `videoclf <tool>`."""
