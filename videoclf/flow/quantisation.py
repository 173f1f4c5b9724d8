"""Displacements as 8-bit codes: clipped to a bound and scaled linearly, as TSN's tools did.

    code = round((clip(pixels, -bound, bound) + bound) * 255 / (2 * bound))

With a bound of 20 pixels a step is 40 / 255 = 0.157 pixels. No code means exactly 0: rest is 128,
which reads as half a step, 0.078 pixels. What subtracts a field's mean does not see it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LARGEST_CODE = 255


@dataclass(frozen=True)
class Quantisation:
    """The codes of one bound.

    Args:
        bound_pixels: displacements beyond it are clipped.

    Raises:
        ValueError: the bound is not above 0.
    """

    bound_pixels: float = 20.0

    def __post_init__(self) -> None:
        if not (self.bound_pixels > 0 and math.isfinite(self.bound_pixels)):
            raise ValueError(f"the bound must be above 0 pixels, not {self.bound_pixels:g}")

    @property
    def step_pixels(self) -> float:
        """The displacement between two neighbouring codes."""
        return 2 * self.bound_pixels / LARGEST_CODE

    def codes(self, fields: np.ndarray) -> np.ndarray:
        """Return the codes of displacements in pixels, uint8 of the same shape."""
        clipped = np.clip(fields, -self.bound_pixels, self.bound_pixels)
        codes: np.ndarray = np.rint(
            (clipped + self.bound_pixels) * (LARGEST_CODE / (2 * self.bound_pixels))
        )
        return codes.astype(np.uint8)

    def fields(self, codes: np.ndarray) -> np.ndarray:
        """Return the displacements of codes in pixels, float32 of the same shape."""
        step, bound = np.float32(self.step_pixels), np.float32(self.bound_pixels)
        return codes.astype(np.float32) * step - bound


def mirrored(codes: np.ndarray) -> np.ndarray:
    """Return the codes of the flow of the mirrored video: columns reversed and x negated.

    Twice gives the codes as they were. Once is within one level of the codes of the negated
    displacements: rest, 128, becomes 127.

    Args:
        codes: uint8 (..., H, W, 2).
    """
    flipped = codes[..., ::-1, :].copy()
    flipped[..., 0] = LARGEST_CODE - flipped[..., 0]
    return flipped
