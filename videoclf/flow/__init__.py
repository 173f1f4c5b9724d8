"""Optical flow: how far each pixel moves from one frame to the next. One file per method.

frames uint8 (T, H, W, 3) -> **estimator** -> float32 (T-1, H, W, 2), x and y in pixels ->
**quantisation** -> uint8 codes -> **stored** as losslessly coded video, or shown in colours.
Field t belongs to the frames t and t+1: forward it says where the pixels of frame t are in frame
t+1, backward where those of frame t+1 were in frame t.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from typing import Protocol

import numpy as np

METHODS = {
    "dis": "videoclf.flow.dis.Dis",
    "farneback": "videoclf.flow.farneback.Farneback",
    "lucas_kanade": "videoclf.flow.lucas_kanade.LucasKanade",
    "raft": "videoclf.flow.raft.Raft",
    "tvl1": "videoclf.flow.tvl1.TvL1",
}


class FlowEstimator(Protocol):
    """A method with its settings: a frozen dataclass, which travels to other processes as such."""

    def estimate(self, frames: np.ndarray, *, backward: bool = False) -> np.ndarray:
        """Estimate the flow between neighbouring frames.

        Args:
            frames: uint8 (T, H, W, 3), RGB, T at least 2.
            backward: from frame t+1 to frame t, on the pixels of frame t+1.

        Returns:
            float32 (T-1, H, W, 2): x to the right and y downwards, in pixels of these frames.

        Raises:
            ValueError: the frames have another shape or type.
        """
        ...


def estimator_class(name: str) -> Callable[..., FlowEstimator]:
    """Return the class of a method by its name; its arguments are keywords with defaults.

    Raises:
        ValueError: no such method.
    """
    if name not in METHODS:
        nearest = difflib.get_close_matches(name, METHODS, n=1)
        hint = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise ValueError(f"unknown flow method {name!r}: {hint}choose one of {', '.join(METHODS)}")
    module, _, attribute = METHODS[name].rpartition(".")
    cls: Callable[..., FlowEstimator] = getattr(importlib.import_module(module), attribute)
    return cls


def check_frames(frames: np.ndarray) -> None:
    """Refuse what is no clip of at least two frames.

    Raises:
        ValueError: the frames have another shape or type.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or len(frames) < 2:
        raise ValueError(
            f"frames are {frames.dtype} {frames.shape}; flow needs uint8 (T, H, W, 3) with T at "
            "least 2"
        )
