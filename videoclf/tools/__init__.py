"""What the commands of `videoclf` do, without the command line: check, prepare, time a loader."""
