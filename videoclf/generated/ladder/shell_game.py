"""The shell game: a ball is shown at one of three equal cups, cups change places; where is it?

The ball is seen in the first two frames, then k swaps follow, two frames each: the two cups pass
each other, one above and one below, then stand in each other's place; at the end all stand still.
The cups are equal, so that only who follows them all the way knows. Training clips have one to
three swaps, test clips three to eight. The three versions of a test clip hold the same swaps in
another order, and so the same frames: blind to order is exactly 1/3.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.ladder.pictures import COLOURS, as_bytes, outline_mask, paint
from videoclf.generated.ladder.task import LadderTask

SWAPS = ((0, 1), (1, 2), (0, 2))
BALL_FRAMES = 2
SWAP_FRAMES = 2
TRAIN_SWAPS = (1, 2, 3)
TEST_SWAPS = (3, 4, 5, 6, 7, 8)
_COLUMNS = (6, 16, 26)
_ROW = 16
#: How far a cup leaves the row while it changes places.
_LIFT_PIXELS = 7


def final_place(ball: int, swaps: NDArray[np.int64]) -> int:
    """Follow the ball through swaps, int64 (k,), indices into `SWAPS`."""
    for swap in swaps:
        one, other = SWAPS[swap]
        ball = other if ball == one else one if ball == other else ball
    return ball


def draw_swaps(
    generator: np.random.Generator, num_swaps: tuple[int, ...]
) -> tuple[int, list[NDArray[np.int64]]]:
    """Draw where the ball starts, and for each final place swaps that bring it there.

    With three swaps or more the three are the same swaps in another order.
    """
    while True:
        ball, count = int(generator.integers(3)), int(generator.choice(num_swaps))
        if count < 3:
            ways = [np.array(way) for way in itertools.product(range(3), repeat=count)]
            generator.shuffle(ways)
        else:
            swaps = generator.integers(0, 3, count)
            ways = [generator.permutation(swaps) for _ in range(32)]
        found = {final_place(ball, way): way for way in ways}
        if len(found) == 3:
            return ball, [found[place] for place in range(3)]


class ShellGame(LadderTask):
    """Three cups, a ball, and swaps."""

    def __init__(self) -> None:
        super().__init__(
            classes=("left", "middle", "right"),
            num_frames=BALL_FRAMES + 1 + SWAP_FRAMES * max(TEST_SWAPS) + 1,
            size_pixels=32,
        )

    def draw(self, label: int, generator: np.random.Generator, *, subset: str) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        ball, ways = draw_swaps(generator, TEST_SWAPS if subset == "test" else TRAIN_SWAPS)
        size, grey = self.size_pixels, generator.uniform(10, 50)
        cup, small = outline_mask("square", size, 4.5), outline_mask("disc", size, 2.5)
        frames = np.full((self.num_frames, size, size, 3), grey, np.float32)
        resting = [(_ROW, x) for x in _COLUMNS]
        cups = [resting] * self.num_frames
        for number, swap in enumerate(ways[label]):
            one, other = (_COLUMNS[place] for place in SWAPS[swap])
            middle = (one + other) // 2
            passing = [(_ROW, x) for x in _COLUMNS if x not in (one, other)]
            passing += [(_ROW - _LIFT_PIXELS, middle), (_ROW + _LIFT_PIXELS, middle)]
            cups[BALL_FRAMES + 1 + SWAP_FRAMES * number] = passing
        for frame, places in zip(frames, cups, strict=True):
            for y, x in places:
                paint(frame, cup, y, x, COLOURS[3])
        for frame in frames[:BALL_FRAMES]:
            paint(frame, small, _ROW, _COLUMNS[ball], COLOURS[0])
        return as_bytes(frames)
