"""Sizes, orientation and index checks that every reader shares: pure arithmetic on numpy arrays."""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np


class Orientation(NamedTuple):
    """How a decoded picture is turned before it is shown: transposed first, then flipped.

    Eight combinations, for four rotations and their mirror images.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """Return a view of a picture, (H, W, C) -> (H, W, C) or (W, H, C), as it is shown."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        rows = slice(None, None, -1 if self.flip_rows else 1)
        columns = slice(None, None, -1 if self.flip_columns else 1)
        return picture[rows, columns]


def orientation_from_matrix(matrix: bytes) -> Orientation:
    """Read a display matrix, nine native int32 in rows (a b u / c d v / x y w).

    A point (x, y) is shown at (a x + c y, b x + d y). Angles that are no multiple of 90 degrees
    go to the nearest one, since a frame must stay a rectangle.
    """
    values = np.frombuffer(matrix[:36], np.int32)
    a, b, c, d = (int(values[place]) for place in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, flip_rows=d < 0, flip_columns=a < 0)
    return Orientation(True, flip_rows=b < 0, flip_columns=c < 0)


def scaled_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Return (height, width) in pixels with the smaller of the two scaled to `short_side`.

    The longer side is rounded to the nearest pixel, halves up: 256 x 340 to 128 is 128 x 170.

    Raises:
        ValueError: `short_side` is below 1.
    """
    if short_side is None:
        return height, width
    if short_side < 1:
        raise ValueError(f"short_side must be at least 1 pixel, not {short_side}")
    shorter, longer = min(height, width), max(height, width)
    scaled = max((2 * longer * short_side + shorter) // (2 * shorter), short_side)
    return (short_side, scaled) if height <= width else (scaled, short_side)


def checked_indices(indices: np.ndarray, num_frames: int) -> np.ndarray:
    """Return frame indices as int64 (N,).

    Raises:
        IndexError: an index outside [0, num_frames).
        TypeError: the indices are not integers.
    """
    wanted = np.asarray(indices)
    if wanted.size == 0:
        return np.zeros(0, np.int64)
    if wanted.ndim != 1:
        raise IndexError(f"frame indices must be one-dimensional, not of shape {wanted.shape}")
    if not np.issubdtype(wanted.dtype, np.integer):
        raise TypeError(f"frame indices must be integers, not {wanted.dtype}")
    for index in (operator.index(wanted.min()), operator.index(wanted.max())):
        if not 0 <= index < num_frames:
            raise IndexError(f"frame {index} is outside a video of {num_frames} frames")
    return wanted.astype(np.int64)
