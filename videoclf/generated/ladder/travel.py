"""Travel: one outline moves along a row of the torus. Which way, how fast, or neither.

At time t it stands at x_t = (x_0 + 3 v t) mod 48, t = 0..15, with v one of -5, -3, -1, 1, 3, 5.
All six are coprime to 16, so that 3 v t mod 48 runs through the same 16 places: the six clips of
an orbit are permutations of the same frames, and a clip of -v is one of v backwards. Three tasks
ask for different things about them:

* `MotionDirection` for the sign of v. Blind to order: exactly 1/2. Blind to reversal: exactly 1/2.
* `Speed` for |v|. Blind to order: exactly 1/3.
* `Shortcut` for the sign again, but the outline's colour agrees with it in a share `agreement` of
  the training and validation clips, and in no test clip.
* `Control` for nothing: its labels are random, and any accuracy but chance is a leak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.ladder.pictures import COLOURS, OUTLINES, as_bytes, outline_mask, paint
from videoclf.generated.ladder.task import LadderTask

NUM_FRAMES = 16
SIZE_PIXELS = 48
SPEEDS = (1, 3, 5)
#: Pixels that a place differs from the next; 48 / 16.
STEP_PIXELS = 3


def places(velocity: int, start: int) -> NDArray[np.int64]:
    """Return x_t of the 16 frames, int64 (16,); of a negative velocity, those of its opposite
    backwards.
    """
    forwards = (start + STEP_PIXELS * abs(velocity) * np.arange(NUM_FRAMES)) % SIZE_PIXELS
    return forwards if velocity > 0 else forwards[::-1]


def draw_travel(
    generator: np.random.Generator, velocity: int, colour: NDArray[np.float32] | None = None
) -> NDArray[np.uint8]:
    """Draw a clip: uint8 (16, 48, 48, 3); colour None draws one at random, as all else."""
    chosen = COLOURS[generator.integers(len(COLOURS))]
    grey, radius = generator.uniform(10, 70), generator.uniform(5, 9)
    outline = OUTLINES[generator.integers(len(OUTLINES))]
    y, start = generator.integers(0, SIZE_PIXELS, 2)
    mask = outline_mask(outline, SIZE_PIXELS, radius)
    frames = np.full((NUM_FRAMES, SIZE_PIXELS, SIZE_PIXELS, 3), grey, np.float32)
    for frame, x in zip(frames, places(velocity, int(start)), strict=True):
        paint(frame, mask, int(y), int(x), chosen if colour is None else colour)
    return as_bytes(frames)


class MotionDirection(LadderTask):
    """Left or right, at a random speed."""

    def __init__(self) -> None:
        super().__init__(classes=("right", "left"), num_frames=NUM_FRAMES, size_pixels=SIZE_PIXELS)

    def draw(
        self,
        label: int,
        generator: np.random.Generator,
        *,
        subset: str,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        speed = int(generator.choice(SPEEDS))
        return draw_travel(generator, (speed, -speed)[label])


class Speed(LadderTask):
    """One, three or five steps a frame, either way."""

    def __init__(self) -> None:
        super().__init__(
            classes=("slow", "middle", "fast"), num_frames=NUM_FRAMES, size_pixels=SIZE_PIXELS
        )

    def draw(
        self,
        label: int,
        generator: np.random.Generator,
        *,
        subset: str,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        sign = int(generator.choice((-1, 1)))
        return draw_travel(generator, sign * SPEEDS[label])


@dataclass(frozen=True, kw_only=True)
class Shortcut(LadderTask):
    """Left or right, and a colour that suggests the answer until the test.

    Args:
        classes: see `LadderTask`, as are the next three.
        agreement: share of the training clips whose colour, red for right and green for left,
            agrees with the direction.
    """

    agreement: float

    def draw(self, label: int, generator: np.random.Generator, *, subset: str) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        agrees = subset != "test" and generator.random() < self.agreement
        speed = int(generator.choice(SPEEDS))
        return draw_travel(
            generator, (speed, -speed)[label], COLOURS[label if agrees else 1 - label]
        )


class Control(LadderTask):
    """Classes without a meaning: both are drawn alike."""

    def __init__(self) -> None:
        super().__init__(classes=("heads", "tails"), num_frames=NUM_FRAMES, size_pixels=SIZE_PIXELS)

    def draw(
        self,
        label: int,
        generator: np.random.Generator,
        *,
        subset: str,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        generator = generator.spawn(2)[label]  # another clip, not another version of one
        velocity = int(generator.choice((-1, 1))) * int(generator.choice(SPEEDS))
        return draw_travel(generator, velocity)
