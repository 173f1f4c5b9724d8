"""Transforms: crop and resize in uint8 in the worker; float, flip and normalise on the device."""
