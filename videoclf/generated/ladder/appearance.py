"""Appearance: which outline is shown. One frame suffices; whoever fails here has not learnt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.ladder.pictures import COLOURS, OUTLINES, as_bytes, outline_mask, paint
from videoclf.generated.ladder.task import LadderTask


class Appearance(LadderTask):
    """One outline that drifts over a grey of its own; colour, size, place and drift are random."""

    def __init__(self) -> None:
        super().__init__(classes=OUTLINES, num_frames=16, size_pixels=32)

    def draw(
        self,
        label: int,
        generator: np.random.Generator,
        *,
        subset: str,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        size = self.size_pixels
        colour = COLOURS[generator.integers(len(COLOURS))]
        grey, radius = generator.uniform(10, 70), generator.uniform(6, 9)
        (y, x), (v, w) = generator.integers(0, size, 2), generator.integers(-1, 2, 2)
        mask = outline_mask(self.classes[label], size, radius)
        frames = np.full((self.num_frames, size, size, 3), grey, np.float32)
        for time, frame in enumerate(frames):
            paint(frame, mask, y + v * time, x + w * time, colour)
        return as_bytes(frames)
