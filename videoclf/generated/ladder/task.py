"""What a task of the ladder is: its classes, the size of its clips, how one is drawn."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class LadderTask(abc.ABC):
    """A task, before its clips are encoded.

    Args:
        classes: names, which are folders too.
        num_frames: T of a clip.
        size_pixels: side of the square picture.
        lossless: keep each value exactly, where noise or single pixels carry the class.
    """

    classes: tuple[str, ...]
    num_frames: int
    size_pixels: int
    lossless: bool = False

    @abc.abstractmethod
    def draw(self, label: int, generator: np.random.Generator, *, subset: str) -> NDArray[np.uint8]:
        """Draw one clip of an orbit.

        Args:
            label: which of `classes`.
            generator: in the same state for every class of an orbit.
            subset: train, val or test; only tasks about transfer tell them apart.

        Returns:
            uint8 (T, H, W, 3), RGB.
        """
