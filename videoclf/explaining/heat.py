"""From a coarse map of what a network looked at to heat on every pixel, and a share a frame."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def upsample(heat: torch.Tensor, size: tuple[int, int, int]) -> torch.Tensor:
    """Enlarge a map to a clip, linearly in time and space; a cell's centre stays where it is.

    Args:
        heat: float (T', H', W'), not negative.
        size: T, H, W of the clip.

    Returns:
        float (T, H, W), not negative, summing to 1, or all 0 where the map is.
    """
    enlarged = F.interpolate(heat[None, None], size=size, mode="trilinear", align_corners=False)
    total = enlarged.sum()
    return enlarged[0, 0] / total if total > 0 else enlarged[0, 0]


def frame_shares(heat: torch.Tensor) -> torch.Tensor:
    """Return the share of each frame, (T, H, W) -> (T,): when the network looked."""
    return heat.sum(dim=(1, 2))
