"""What OpenCV's methods share: frames to grey, pair by pair, on one thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from videoclf.flow import check_frames

#: (grey uint8 (H, W), grey uint8 (H, W)) -> float32 (H, W, 2)
PairFlow = Callable[[np.ndarray, np.ndarray], np.ndarray]


class PairwiseEstimator(ABC):
    """Estimate from two grey pictures at a time; see `videoclf.flow.FlowEstimator`."""

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
        check_frames(frames)
        fields = np.empty((len(frames) - 1, *frames.shape[1:3], 2), np.float32)  # (T-1, H, W, 2)
        with one_thread():
            pair_flow = self.pair_flow()
            grey = cv2.cvtColor(frames[0], cv2.COLOR_RGB2GRAY)  # (H, W)
            for row, frame in enumerate(frames[1:]):
                following = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
                pair = (following, grey) if backward else (grey, following)
                fields[row] = pair_flow(*pair)
                grey = following
        return fields

    @abstractmethod
    def pair_flow(self) -> PairFlow:
        """Return OpenCV's function with the settings; it is called on one thread."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Let OpenCV work on the calling thread alone, and as before afterwards.

    Processes share the cores, one file each: threads of OpenCV's own would fight over them.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def check_at_least(method: str, **bounds: tuple[float, float]) -> None:
    """Refuse a setting below its bound.

    Args:
        method: name for the message.
        bounds: (value, smallest allowed value) by the setting's name.

    Raises:
        ValueError: a value is too small, or no number.
    """
    for name, (value, smallest) in bounds.items():
        if not value >= smallest:
            raise ValueError(f"{method}: {name} must be at least {smallest:g}, not {value}")
