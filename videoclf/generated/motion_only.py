"""Noise that moves together: the class is its direction, each single frame is noise.

Dots of a few pixels lie anywhere on a torus, each with its own grey. All move by the same
whole number of pixels a frame, and each lives for a few frames only, then jumps to another place;
births are staggered. In every frame of every class the dots are therefore independent and uniform,
and following one dot for long leads nowhere: only motion that is common to many dots, seen over
two frames or more, tells the class. It follows that clip n of

* `left` is clip n of `right` backwards, bit by bit, and `up` is `down` backwards: whoever ignores
  the order of the frames cannot exceed 1/2 between them, and
* `down` is `right` with rows and columns exchanged, so that no axis is special.

Files are lossless: what a codec leaves out would itself tell of motion. The idea is the random-dot
kinematogram of perception research: Newsome & Paré 1988, "A selective impairment of motion
perception following lesions of the middle temporal visual area (MT)".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.drawn import DrawnVideos

#: Pixels a frame; whole numbers, so that moved dots look as dots at rest do.
_SPEEDS_PIXELS = (1, 2, 3)
#: Frames from a dot's birth to its end.
_LIFE_FRAMES = 6
_DOT_PIXELS = 2
#: Area of all dots, overlaps counted twice, as a share of the picture.
_DENSITY = 0.5
#: Greys that 8-bit video holds exactly, five darker and five lighter than the background.
_GREYS = (8, 24, 44, 64, 79, 180, 192, 208, 228, 248)
_BACKGROUND = 128


@dataclass(frozen=True, kw_only=True)
class MotionOnly(DrawnVideos):
    """Clips of grey dots of limited life that move left, right, up or down.

    Args:
        root: see `DrawnVideos`, as are the others.
    """

    name: ClassVar[str] = "motion_only"
    classes: ClassVar[tuple[str, ...]] = ("left", "right", "up", "down")
    version: ClassVar[int] = 1
    lossless: ClassVar[bool] = True

    def draw(self, path: str) -> NDArray[np.uint8]:
        """Draw the clip of a path such as `train/left/00012.mp4`.

        Returns:
            uint8 (T, H, W, 3), RGB, the three channels equal.
        """
        direction, entropy = self.clip_of(path)
        generator = np.random.default_rng(entropy)
        frames = draw_dots(generator, num_frames=self.num_frames, size_pixels=self.size_pixels)
        if direction in ("up", "down"):
            frames = frames.swapaxes(1, 2)
        if direction in ("left", "up"):
            frames = frames[::-1]
        return np.repeat(frames[..., None], 3, axis=3)


def draw_dots(
    generator: np.random.Generator, *, num_frames: int, size_pixels: int
) -> NDArray[np.uint8]:
    """Draw dots that move right together.

    Args:
        generator: of everything that is drawn.
        num_frames: T.
        size_pixels: side of the square picture.

    Returns:
        uint8 (T, H, W).
    """
    num_dots = round(_DENSITY * size_pixels**2 / _DOT_PIXELS**2)
    speed = int(generator.choice(_SPEEDS_PIXELS))
    greys = generator.choice(np.array(_GREYS, np.uint8), num_dots)
    # a dot of age a at frame 0 is in its life number (t + a) // life at frame t
    ages = generator.integers(0, _LIFE_FRAMES, num_dots)
    num_lives = (num_frames + _LIFE_FRAMES - 2) // _LIFE_FRAMES + 1
    births = generator.integers(0, size_pixels, (num_lives, 2, num_dots))  # y and x, each life
    inside = np.arange(_DOT_PIXELS)
    frames = np.full((num_frames, size_pixels, size_pixels), _BACKGROUND, np.uint8)
    for time, frame in enumerate(frames):
        life, age = np.divmod(time + ages, _LIFE_FRAMES)
        y, x = births[life, :, np.arange(num_dots)].T
        rows = (y[:, None] + inside) % size_pixels  # (N, dot)
        columns = (x[:, None] + speed * age[:, None] + inside) % size_pixels
        frame[rows[:, :, None], columns[:, None, :]] = greys[:, None, None]
    return frames
