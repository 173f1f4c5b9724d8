"""Transforms: crop and resize in uint8 in the worker; augment and normalise on the device."""
