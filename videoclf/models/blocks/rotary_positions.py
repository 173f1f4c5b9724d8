"""Rotary positions of a grid of tubelets: queries and keys are turned by where their tokens stand.

    q, k -> q cos + turned(q) sin,   turned(x0, x1, x2, x3, ...) = (-x1, x0, -x3, x2, ...)

so that a product q k depends on how far apart two tokens are. The channels of a head are shared
out: 2 floor(d / 6) each for step, row and column; what is left is not turned. Angles are computed
from the grid of the clip at hand, so that any number of frames and any crop has them.

Sources: Su et al. 2021, "RoFormer"; Assran et al. 2025, "V-JEPA 2", section 2.1. The published
weights were trained with angles whose n = 1, 2, ... frequencies stand in a row twice,
(f1, ..., fn, f1, ..., fn), where RoFormer has each one twice, (f1, f1, f2, f2, ...): the two
channels of a pair are turned at different rates. Ours are those of the weights.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

BASE = 10000.0


class Rotation(NamedTuple):
    """Cosines and sines of every token's channels, float32 (N, d)."""

    cos: torch.Tensor
    sin: torch.Tensor


def axis_channels(head_width: int) -> int:
    """Return how many channels of a head each axis turns: even, a third of them at most.

    64 channels give 20 to each axis, and 4 are not turned.
    """
    return 2 * (head_width // 3 // 2)


def grid_rotation(
    grid: tuple[int, int, int], head_width: int, *, device: torch.device | None = None
) -> Rotation:
    """Compute the rotation of tokens that stand row by row, step by step.

    Args:
        grid: steps in time, rows, columns.
        head_width: d, channels of a head.
        device: where it is wanted.

    Returns:
        Each (steps * rows * columns, d); channels that are not turned have cosine 1 and sine 0.
    """
    steps, rows, columns = grid
    axes = (
        torch.arange(steps, device=device).repeat_interleave(rows * columns),
        torch.arange(rows, device=device).repeat_interleave(columns).repeat(steps),
        torch.arange(columns, device=device).repeat(steps * rows),
    )
    share = axis_channels(head_width)
    exponents = torch.arange(share // 2, device=device, dtype=torch.float32) / (share / 2)
    frequencies = (1.0 / BASE**exponents).repeat(2)  # (share,), the row twice
    angles = torch.cat([places[:, None] * frequencies for places in axes], dim=1)  # (N, 3 share)
    left = angles.new_zeros(len(angles), head_width - 3 * share)
    angles = torch.cat([angles, left], dim=1)  # (N, d)
    return Rotation(angles.cos(), angles.sin())


def rotate(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn queries or keys (B, heads, N, d) by the rotation of their tokens, each (N, d)."""
    even, odd = heads.unflatten(-1, (-1, 2)).unbind(-1)  # each (B, heads, N, d / 2)
    turned = torch.stack([-odd, even], dim=-1).flatten(-2)  # (B, heads, N, d)
    return (heads * cos + turned * sin).to(heads.dtype)
