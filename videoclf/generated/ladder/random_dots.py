"""Motion only: dots of limited life, all moving one way; each single frame is noise.

A clip of `left` is one of `right` backwards, and `up` one of `down`: between opposites, whoever is
blind to order or to reversal scores exactly 1/2, and so at most 1/2 of the four.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.ladder.task import LadderTask
from videoclf.generated.motion_only import draw_dots


class MotionOnly(LadderTask):
    """Grey dots that move right, left, down or up."""

    def __init__(self) -> None:
        super().__init__(
            classes=("right", "left", "down", "up"), num_frames=16, size_pixels=32, lossless=True
        )

    def draw(
        self,
        label: int,
        generator: np.random.Generator,
        *,
        subset: str,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        frames = draw_dots(generator, num_frames=self.num_frames, size_pixels=self.size_pixels)
        if label >= 2:
            frames = frames.swapaxes(1, 2)
        if label % 2:
            frames = frames[::-1]
        return np.repeat(frames[..., None], 3, axis=3)
