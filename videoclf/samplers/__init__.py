"""Samplers: number of frames, frame rate, generator -> frame indices. Pure arithmetic, no I/O."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from videoclf.samplers.positions import Positions


class Sampler(Protocol):
    """Which frames of a video a clip takes. T is `num_frames`."""

    num_frames: int

    def train_clip(self, length: int, fps: float, generator: np.random.Generator) -> np.ndarray:
        """Return int64 (T,): one random clip of a video of `length` frames."""
        ...

    def eval_clips(
        self, length: int, fps: float, num_clips: int, positions: Positions | None = None
    ) -> np.ndarray:
        """Return int64 (num_clips, T): the fixed clips of the test protocol, in order of time.

        `positions` None is the sampler's own choice.
        """
        ...

    def coarser(self, num_frames: int) -> Sampler:
        """Return what samples fewer frames from as long a stretch, for multigrid training."""
        ...
