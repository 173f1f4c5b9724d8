"""Test frames made smaller as torchvision does it: for networks that were measured so.

`decoder`, our own way, has the decoder's scaler shrink pictures while it converts their colours,
antialiased, the aspect kept. Published networks were measured on pictures that torchvision shrank:
bilinear with or without antialiasing, the longer side rounded down, or both sides given; and the
place of its centre crop is rounded to the even pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.transforms import functional as tv

#: Ways to resize test frames -> whether they are antialiased; the decoder's own is not torchvision.
TORCHVISION = {"bilinear": False, "bilinear_antialias": True}


def resize_frames(
    frames: np.ndarray, *, resizing: str, short_side: int, size: Sequence[int] | None
) -> np.ndarray:
    """Resize frames by torchvision.

    Args:
        frames: uint8 (N, H, W, C).
        resizing: one of `TORCHVISION`.
        short_side: that the smaller of height and width becomes, in pixels; or
        size: height and width, whatever the aspect.

    Returns:
        uint8 (N, H', W', C).
    """
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2)  # (N, C, H, W)
    resized = tv.resize(
        pictures,
        [short_side] if size is None else list(size),
        tv.InterpolationMode.BILINEAR,
        antialias=TORCHVISION[resizing],
    )
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1).numpy())
