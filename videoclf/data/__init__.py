"""Data: annotation files -> manifest -> sampler -> reader -> uint8 clips -> batches."""
