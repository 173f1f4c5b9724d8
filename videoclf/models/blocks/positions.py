"""Learned positions of tokens for clips of another size or length than they were learned for."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def resize_in_space(positions: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """Interpolate the positions of a square of patches, bicubically.

    Args:
        positions: (1, side * side, D), row by row, without a class token.
        grid: patches down and across of the new picture.

    Returns:
        (1, rows * columns, D); the same tensor where nothing changes.
    """
    side = round(positions.shape[1] ** 0.5)
    if (side, side) == grid:
        return positions
    square = positions.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, D, side, side)
    resized = F.interpolate(square, size=grid, mode="bicubic", antialias=False)
    return resized.flatten(2).transpose(1, 2)  # (1, rows * columns, D)


def resize_in_time(positions: torch.Tensor, num_steps: int) -> torch.Tensor:
    """Interpolate the positions of time steps linearly: (1, T, D) -> (1, num_steps, D)."""
    if positions.shape[1] == num_steps:
        return positions
    resized = F.interpolate(positions.transpose(1, 2), size=num_steps, mode="linear")
    return resized.transpose(1, 2)
