"""A folder of numbered pictures, read as a video: data sets that ship frames, or optical flow."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from videoclf.errors import UnreadableVideoError
from videoclf.readers.geometry import checked_indices, scaled_size
from videoclf.readers.safety import Limits, file_status

if TYPE_CHECKING:
    from typing_extensions import Self

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
_LAST_NUMBER = re.compile(r"^(.*?)(\d+)(\D*)$")


class FramesReader:
    """Read the pictures of a folder as frames; see `videoclf.readers.Reader` for the interface.

    The last number in each name gives the order, so `img_9.jpg` stands before `img_10.jpg`.

    Args:
        path: a folder of pictures of one size, whose names differ in one number only, in steps
            of one size (1, 2, 3 or 5, 10, 15).
        fps: frames per second at which the pictures were taken.
        limits: what the pictures may demand; None for the defaults.

    Raises:
        UnreadableVideoError: no pictures, numbers missing, several series of names.
        ValueError: `fps` is not positive.
    """

    def __init__(self, path: str, fps: float = 25.0, *, limits: Limits | None = None) -> None:
        if not fps > 0:
            raise ValueError(f"fps must be positive, not {fps}")
        self.path = str(path)
        self.fps = float(fps)
        self._limits = limits or Limits()
        self._files = _numbered_pictures(self.path)
        self.num_frames = len(self._files)
        self._limits.check_frames(self.path, self.num_frames)
        self.times = np.arange(self.num_frames, dtype=np.float64) / self.fps
        with self._open(0) as first:
            self.height, self.width = first.height, first.width

    def frames(self, indices: np.ndarray, *, short_side: int | None = None) -> np.ndarray:
        """Decode pictures, each distinct one once.

        Args:
            indices: int64 (N,), in any order, repeats allowed.
            short_side: pixels that the smaller of height and width is scaled to, aspect kept,
                antialiased; None keeps the size.

        Returns:
            uint8 (N, H, W, 3), RGB, in the order of `indices`.

        Raises:
            IndexError: an index outside [0, num_frames).
            UnreadableVideoError: a picture is damaged or of another size than the first.
        """
        wanted = checked_indices(indices, self.num_frames)
        height, width = scaled_size(self.height, self.width, short_side)
        distinct, places = np.unique(wanted, return_inverse=True)
        clip = np.empty((len(distinct), height, width, 3), np.uint8)  # (distinct, H, W, 3)
        for row, index in enumerate(distinct):
            clip[row] = self._picture(int(index), height, width)
        return clip if np.array_equal(wanted, distinct) else clip[places]

    def close(self) -> None:
        """Nothing stays open between calls; for the sake of the interface."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _picture(self, index: int, height: int, width: int) -> np.ndarray:
        with self._open(index) as picture:
            if (picture.height, picture.width) != (self.height, self.width):
                size = f"{picture.width}x{picture.height}, not {self.width}x{self.height}"
                raise UnreadableVideoError(self.path, f"{self._files[index]} is {size}")
            try:
                colours = picture.convert("RGB")
            except (OSError, SyntaxError, ValueError) as error:
                reason = f"{self._files[index]} is damaged ({error})"
                raise UnreadableVideoError(self.path, reason) from error
        if colours.size != (width, height):
            colours = colours.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(colours)

    def _open(self, index: int) -> Image.Image:
        file = str(Path(self.path) / self._files[index])
        file_status(file)
        try:
            picture = Image.open(file)
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
            reason = f"{self._files[index]} is no picture that can be read"
            raise UnreadableVideoError(self.path, reason) from error
        try:
            self._limits.check_size(self.path, picture.height, picture.width)
        except UnreadableVideoError:
            picture.close()
            raise
        return picture


def _numbered_pictures(folder: str) -> list[str]:
    """Return the names of a folder's pictures in the order of their numbers.

    Raises:
        UnreadableVideoError: there are none, one has no number, or a number is missing.
    """
    if not Path(folder).is_dir():
        reason = "is a file, not a folder of frames" if Path(folder).exists() else "does not exist"
        raise UnreadableVideoError(folder, reason)
    numbered: list[tuple[int, str]] = []
    series: dict[tuple[str, str], str] = {}
    for name in sorted(os.listdir(folder)):
        if name.startswith(".") or not name.lower().endswith(SUFFIXES):
            continue
        stem, suffix = Path(name).stem, Path(name).suffix
        match = _LAST_NUMBER.match(stem)
        if match is None:
            raise UnreadableVideoError(folder, f"the picture {name} has no number in its name")
        series[match[1], match[3] + suffix] = name
        numbered.append((int(match[2]), name))
    if not numbered:
        raise UnreadableVideoError(folder, "is a folder without pictures")
    if len(series) > 1:
        names = ", ".join(list(series.values())[:2])
        raise UnreadableVideoError(folder, f"holds {len(series)} series of pictures (as {names})")
    numbered.sort()
    _check_steps(folder, [number for number, _ in numbered])
    return [name for _, name in numbered]


def _check_steps(folder: str, numbers: Sequence[int]) -> None:
    """Refuse a gap: the step between neighbours must be the same throughout."""
    steps = np.diff(np.array(numbers, dtype=object))
    if len(steps) == 0:
        return
    step = min(steps)
    for before, found in zip(numbers, steps, strict=False):
        if found != step:
            raise UnreadableVideoError(folder, f"the picture number {before + step} is missing")
        if step == 0:
            raise UnreadableVideoError(folder, f"the picture number {before} is there twice")
