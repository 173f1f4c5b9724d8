"""Eight motions of one drawn shape, in which a single frame says nothing; by construction.

Position, angle and log-size live on a torus: what leaves comes back at the other end. At the
middle of a clip each is drawn uniformly, and exactly one of them moves, so that in every frame
of every class all of them are uniform. Shape, colours, textures, the middle state and the speed
of clip number n are the same in all eight classes. It follows that, with an odd number of frames,

* the middle frames of clip n are one and the same picture in all classes, and
* clip n of `right` is clip n of `left` backwards, bit by bit, and so for the other pairs:
  whoever ignores the order of the frames cannot exceed 1/2.

What is left is motion. For the same reason a horizontal or vertical flip changes labels and must
not be used as augmentation here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.drawn import DrawnVideos
from videoclf.generated.shapes import Appearance, States, draw_frames

Motion = Literal["left", "right", "up", "down", "clockwise", "anticlockwise", "grow", "shrink"]
MOTIONS: tuple[Motion, ...] = get_args(Motion)

#: What moves, and which way along its circle.
_AXES: dict[Motion, tuple[Literal["x", "y", "angle", "size"], int]] = {
    "left": ("x", -1),
    "right": ("x", 1),
    "up": ("y", -1),  # y points down
    "down": ("y", 1),
    "clockwise": ("angle", 1),
    "anticlockwise": ("angle", -1),
    "grow": ("size", 1),
    "shrink": ("size", -1),
}
#: Speeds, slowest and fastest, in turns of the circle a frame. At 64 pixels: 1.5 to 2.5 pixels,
#: 10 to 15 degrees, and all sizes within 22 to 15 frames, about once in a clip. Below these a
#: small network spends most of its time on finding that there is any motion: at 1 to 2.5 pixels
#: and 8 to 15 degrees, a 3D network took twice the epochs, or, by its seed, did not start at all.
_TURNS = {
    "x": (1.5 / 64, 2.5 / 64),
    "y": (1.5 / 64, 2.5 / 64),
    "angle": (10 / 360, 15 / 360),
    "size": (1 / 22, 1 / 15),
}
#: Smallest and largest radius, in sides of the picture; from the largest it jumps to the smallest.
#: Under 1/2, or a shape would overlap itself around the torus; smaller shapes are but a few per
#: cent of the picture, which slows learning as slow motion does.
_RADII = (0.16, 0.38)


@dataclass(frozen=True, kw_only=True)
class MovingShapes(DrawnVideos):
    """Clips of a drawn shape that moves left, right, up, down, turns either way, grows, shrinks.

    An odd number of frames gives all classes the same middle frame.

    Args:
        root: see `DrawnVideos`, as are the others.
    """

    name: ClassVar[str] = "moving_shapes"
    classes: ClassVar[tuple[str, ...]] = MOTIONS
    version: ClassVar[int] = 2

    def draw(self, path: str) -> NDArray[np.uint8]:
        """Draw the clip of a path such as `train/clockwise/00012.mp4`.

        Returns:
            uint8 (T, H, W, 3), RGB.
        """
        motion, entropy = self.clip_of(path)
        assert motion in MOTIONS
        appearance, states = sample_clip(entropy, motion, self.num_frames)
        return draw_frames(appearance, states, self.size_pixels)


def sample_clip(
    entropy: tuple[int, int, int], motion: Motion, num_frames: int
) -> tuple[Appearance, States]:
    """Draw what a clip shows: its appearance and where its shape is in each frame.

    Args:
        entropy: seed, subset and number of the clip; all that the random numbers depend on, so
            that they are the same for all motions.
        motion: which of the classes.
        num_frames: T.

    Returns:
        The appearance, and states of T frames.
    """
    generator = np.random.default_rng(entropy)
    turns = dict(zip(("x", "y", "angle", "size"), generator.uniform(size=4), strict=True))
    speed = generator.uniform()
    appearance = Appearance.sample(generator)
    moving, direction = _AXES[motion]
    slowest, fastest = _TURNS[moving]
    # antisymmetric around the middle: the other direction is this one backwards, bit by bit
    offsets = direction * (np.arange(num_frames) - (num_frames - 1) / 2)
    circles = {
        axis: (turn + (axis == moving) * (slowest + speed * (fastest - slowest)) * offsets) % 1
        for axis, turn in turns.items()
    }
    smallest, largest = _RADII
    return appearance, States(
        x=circles["x"],
        y=circles["y"],
        angle=2 * np.pi * circles["angle"],
        radius=smallest * (largest / smallest) ** circles["size"],
    )
