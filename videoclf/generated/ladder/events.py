"""Events: two flashes in the dark, of two colours. Which came first?

* `EventOrder`: they are `frames_apart` frames apart, with a margin to the clip's ends, and stand
  at the same place. Both orders hold the same frames: blind to order is exactly 1/2. A network
  whose receptive field in time R is at most `frames_apart`, averaged over time afterwards, sees the
  two flashes one by one: exactly 1/2 too, provided that its windows do not reach the clip's ends
  (margins of R or more, for zero padding tells how far the end is) and that `frames_apart` is a
  multiple of its total stride.
* `TimeShift`: they are two frames apart, and in training all in one half of the clip, in the test
  all in the other half. Whoever knows frames by their number has never seen the other half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.ladder.pictures import COLOURS, as_bytes, outline_mask, paint
from videoclf.generated.ladder.task import LadderTask

CLASSES = ("red_first", "green_first")
#: Frames of a flash.
FLASH_FRAMES = 1


def draw_flashes(
    generator: np.random.Generator,
    *,
    num_frames: int,
    size_pixels: int,
    first: int,
    second: int,
    red_first: bool,
) -> NDArray[np.uint8]:
    """Draw two flashes at the frames `first` and `second`: uint8 (T, H, W, 3)."""
    grey, radius = generator.uniform(10, 50), generator.uniform(6, 9)
    y, x = generator.integers(0, size_pixels, 2)
    mask = outline_mask("disc", size_pixels, radius)
    frames = np.full((num_frames, size_pixels, size_pixels, 3), grey, np.float32)
    for start, colour in ((first, 0 if red_first else 1), (second, 1 if red_first else 0)):
        for frame in frames[start : start + FLASH_FRAMES]:
            paint(frame, mask, int(y), int(x), COLOURS[colour])
    return as_bytes(frames)


@dataclass(frozen=True, kw_only=True)
class EventOrder(LadderTask):
    """Red before green, or green before red.

    Args:
        classes: see `LadderTask`, as are the next three.
        frames_apart: D, from one flash to the other.
        margin_frames: free frames before the first and after the second.
    """

    frames_apart: int
    margin_frames: int

    def __post_init__(self) -> None:
        needed = 2 * self.margin_frames + self.frames_apart + FLASH_FRAMES
        if self.frames_apart < FLASH_FRAMES or needed > self.num_frames:
            raise ValueError(
                f"data.frames_apart={self.frames_apart} with margins of {self.margin_frames} "
                f"frames needs clips of {needed} frames, and at least {FLASH_FRAMES} apart; "
                f"data.num_frames={self.num_frames}"
            )

    def draw(
        self,
        label: int,
        generator: np.random.Generator,
        *,
        subset: str,  # noqa: ARG002
    ) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        last = self.num_frames - self.margin_frames - self.frames_apart - FLASH_FRAMES
        first = int(generator.integers(self.margin_frames, last + 1))
        return draw_flashes(
            generator,
            num_frames=self.num_frames,
            size_pixels=self.size_pixels,
            first=first,
            second=first + self.frames_apart,
            red_first=label == 0,
        )


@dataclass(frozen=True, kw_only=True)
class TimeShift(LadderTask):
    """Red before green, or green before red, in the half of the clip that was not trained on.

    Args:
        classes: see `LadderTask`, as are the next three.
        shift: later tests in the second half, earlier in the first.
    """

    shift: str

    def __post_init__(self) -> None:
        if self.shift not in ("later", "earlier"):
            raise ValueError(f"data.shift={self.shift!r} must be later or earlier")

    def draw(self, label: int, generator: np.random.Generator, *, subset: str) -> NDArray[np.uint8]:
        """See `LadderTask.draw`."""
        half = self.num_frames // 2
        offset = int(generator.integers(3, half - 5))  # 3 frames or more from the ends
        late = (subset == "test") == (self.shift == "later")
        first = offset + half if late else offset
        return draw_flashes(
            generator,
            num_frames=self.num_frames,
            size_pixels=self.size_pixels,
            first=first,
            second=first + 2,
            red_first=label == 0,
        )
