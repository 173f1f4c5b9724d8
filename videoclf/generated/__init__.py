"""Data sets that we draw ourselves, as real encoded video files."""
