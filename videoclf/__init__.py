"""videoclf: how should a network fuse time? Train, evaluate and compare video classifiers."""

__version__ = "0.1.0"
