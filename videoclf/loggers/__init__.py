"""Where a run's curves go: metrics.csv always, W&B and TensorBoard on request."""
