"""Outlines on a torus: what leaves the picture on one side enters it on the other.

A mask is drawn once, around pixel (0, 0), and moved by whole pixels: equal positions then give
equal pixels, and clips with the same positions in another order hold the very same frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OUTLINES = ("disc", "square", "ring", "cross")
#: Colours that differ in hue and lightness; red and green, which `shortcut` uses, come first.
COLOURS = np.array(
    [
        (230, 60, 50),
        (60, 200, 80),
        (70, 110, 240),
        (240, 200, 60),
        (200, 90, 220),
        (80, 210, 220),
        (240, 240, 240),
        (240, 140, 60),
    ],
    np.float32,
)


def outline_mask(outline: str, size_pixels: int, radius_pixels: float) -> NDArray[np.float32]:
    """Draw an outline around pixel (0, 0), its edges one pixel soft.

    Args:
        outline: one of `OUTLINES`.
        size_pixels: side of the torus.
        radius_pixels: of the outline.

    Returns:
        float32 (H, W) in [0, 1].
    """
    offsets = (np.arange(size_pixels) + size_pixels // 2) % size_pixels - size_pixels // 2
    y, x = np.abs(offsets)[:, None], np.abs(offsets)[None, :]
    far = np.hypot(y, x)
    if outline == "disc":
        distance = far - radius_pixels
    elif outline == "square":
        distance = np.maximum(y, x) - 0.886 * radius_pixels  # of a disc's area
    elif outline == "ring":
        distance = np.abs(far - 0.75 * radius_pixels) - 0.3 * radius_pixels
    else:
        bar = 0.35 * radius_pixels
        distance = np.minimum(
            np.maximum(y - radius_pixels, x - bar), np.maximum(x - radius_pixels, y - bar)
        )
    return np.clip(0.5 - distance, 0, 1).astype(np.float32)


def paint(
    frame: NDArray[np.float32],
    mask: NDArray[np.float32],
    y: int,
    x: int,
    colour: NDArray[np.float32],
) -> None:
    """Lay a colour over a frame, float32 (H, W, 3), where a mask moved to (y, x) says so."""
    share = np.roll(mask, (y, x), axis=(0, 1))[..., None]
    frame += share * (colour - frame)


def as_bytes(frames: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round frames to uint8."""
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)
