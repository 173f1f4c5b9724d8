"""Samplers: number of frames, frame rate, generator -> frame indices. Pure arithmetic, no I/O."""
