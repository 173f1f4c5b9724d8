"""LightningModules: loss, steps, logging, optimiser around a model."""
