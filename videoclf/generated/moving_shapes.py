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

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from videoclf.cache import cache_folder
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.generated.draw import draw_missing
from videoclf.generated.shapes import Appearance, States, draw_frames
from videoclf.types import SUBSETS

Motion = Literal["left", "right", "up", "down", "clockwise", "anticlockwise", "grow", "shrink"]
MOTIONS: tuple[Motion, ...] = get_args(Motion)
FRAMES_PER_SECOND = 25

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
#: Goes into the folder's name; to be raised by whatever changes a pixel.
_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class MovingShapes(VideoData):
    """Clips of a drawn shape that moves left, right, up, down, turns either way, grows, shrinks.

    Args:
        root: folder of the drawn videos; None is one of the cache folder, named by what it holds.
        num_train: training clips; a multiple of 8 classes, for exact balance.
        num_val: validation clips, likewise.
        num_test: test clips, likewise.
        num_frames: frames of a clip; odd numbers give all classes the same middle frame.
        size_pixels: side of the square picture, even.
        seed: of everything drawn; other seeds share no clip.
        reader: see `VideoData`, as are the others.
    """

    num_train: int
    num_val: int
    num_test: int
    num_frames: int
    size_pixels: int
    seed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        for subset, count in self._counts().items():
            if count < len(MOTIONS) or count % len(MOTIONS):
                below = max(1, count // len(MOTIONS)) * len(MOTIONS)
                raise ValueError(
                    f"data.num_{subset}={count} cannot be shared evenly by {len(MOTIONS)} classes; "
                    f"give {below} or {below + len(MOTIONS)}"
                )
        if self.num_frames < 2:
            raise ValueError(f"data.num_frames={self.num_frames} shows no motion; give 2 or more")
        if self.size_pixels < 16 or self.size_pixels % 2:
            raise ValueError(
                f"data.size_pixels={self.size_pixels} must be even and at least 16; "
                f"give {max(16, self.size_pixels + self.size_pixels % 2)}"
            )
        if self.seed < 0:
            raise ValueError(f"data.seed={self.seed} is negative; give 0 or more")
        if not self.directional:
            raise ValueError(
                "data.directional=false would mirror clips, and a mirrored clip that moves left "
                "moves right; give true"
            )

    def folder(self) -> Path:
        """Return the folder of the videos, which `manifest` makes."""
        if self.root is not None:
            return Path(self.root)
        digest = hashlib.sha256(json.dumps(self._parameters(), sort_keys=True).encode())
        return cache_folder() / "generated" / f"moving_shapes-{digest.hexdigest()[:12]}"

    def manifest(self) -> Manifest:
        """Return all records, after drawing those that are missing.

        Raises:
            DataError: the root holds something else, or clips of other parameters.
            StorageError: the disk is full or the folder cannot be written.
        """
        # clip 0 of every class, then clip 1: the most different files first
        rows = [
            (f"{subset}/{motion}/{number:05d}.mp4", label, subset)
            for subset, count in self._counts().items()
            for number in range(count // len(MOTIONS))
            for label, motion in enumerate(MOTIONS)
        ]
        paths, labels, subsets = zip(*rows, strict=True)
        draw_missing(
            self.folder(),
            paths,
            self.draw,
            parameters=self._parameters(),
            frames_per_second=FRAMES_PER_SECOND,
            name="moving_shapes",
        )
        manifest = Manifest.from_columns(
            class_names=MOTIONS,
            paths=paths,
            labels=[[label] for label in labels],
            subsets=subsets,
        )
        manifest.check_files(self.folder())
        return manifest

    def draw(self, path: str) -> NDArray[np.uint8]:
        """Draw the clip of a path such as `train/clockwise/00012.mp4`.

        Returns:
            uint8 (T, H, W, 3), RGB.
        """
        subset, motion, name = PurePosixPath(path).parts
        assert motion in MOTIONS
        appearance, states = sample_clip(
            (self.seed, SUBSETS.index(subset), int(name.partition(".")[0])),
            motion,
            self.num_frames,
        )
        return draw_frames(appearance, states, self.size_pixels)

    def _counts(self) -> dict[str, int]:
        return {"train": self.num_train, "val": self.num_val, "test": self.num_test}

    def _parameters(self) -> dict[str, object]:
        """Return whatever the videos depend on."""
        return {
            "generator": "moving_shapes",
            "version": _VERSION,
            "num_train": self.num_train,
            "num_val": self.num_val,
            "num_test": self.num_test,
            "num_frames": self.num_frames,
            "size_pixels": self.size_pixels,
            "seed": self.seed,
        }


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
