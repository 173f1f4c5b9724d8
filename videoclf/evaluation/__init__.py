"""Evaluation: views, averaging, metrics; exact on any number of processes."""
