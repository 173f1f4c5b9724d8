"""Counting: how often does a light go on? It is on for six frames in all, whatever the answer.

The first and the last frame are dark, so that the end states are equal too. The four clips of an
orbit hold six equal lit frames and ten equal dark ones: blind to order is exactly 1/4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.ladder.pictures import COLOURS, OUTLINES, as_bytes, outline_mask, paint
from videoclf.generated.ladder.task import LadderTask

LIT_FRAMES = 6


def lit_frames(
    generator: np.random.Generator, *, num_runs: int, num_frames: int
) -> NDArray[np.bool_]:
    """Draw when the light is on: bool (T,), `LIT_FRAMES` of them true in `num_runs` runs."""
    runs = _parts(generator, LIT_FRAMES, num_runs)
    gaps = _parts(generator, num_frames - LIT_FRAMES, num_runs + 1)
    lit = [
        frame for gap, run in zip(gaps, (*runs, 0), strict=True) for frame in [0] * gap + [1] * run
    ]
    return np.array(lit, bool)


def _parts(generator: np.random.Generator, total: int, count: int) -> tuple[int, ...]:
    """Cut `total` frames into `count` pieces of one or more, every way equally likely."""
    cuts = np.sort(generator.choice(np.arange(1, total), count - 1, replace=False))
    return tuple(np.diff([0, *cuts, total]).tolist())


class Counting(LadderTask):
    """A light that goes on once, twice, three or four times."""

    def __init__(self) -> None:
        super().__init__(classes=("1", "2", "3", "4"), num_frames=16, size_pixels=32)

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
        grey, radius = generator.uniform(10, 50), generator.uniform(6, 9)
        outline = OUTLINES[generator.integers(len(OUTLINES))]
        y, x = generator.integers(0, size, 2)
        mask = outline_mask(outline, size, radius)
        frames = np.full((self.num_frames, size, size, 3), grey, np.float32)
        lit = lit_frames(generator, num_runs=label + 1, num_frames=self.num_frames)
        for time in np.flatnonzero(lit):
            paint(frames[time], mask, int(y), int(x), colour)
        return as_bytes(frames)
