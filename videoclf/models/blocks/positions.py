"""Learned positions of tokens for clips of another size or length than they were learned for.

What is interpolated is said in the log, once for each pair of sizes.
"""

from __future__ import annotations

import logging
from functools import cache

import torch
from torch.nn import functional as F

log = logging.getLogger(__name__)


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
    say_interpolated("positions of patches", (side, side), grid)
    square = positions.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, D, side, side)
    resized = F.interpolate(square, size=grid, mode="bicubic", antialias=False)
    return resized.flatten(2).transpose(1, 2)  # (1, rows * columns, D)


def resize_in_time(positions: torch.Tensor, num_steps: int) -> torch.Tensor:
    """Interpolate the positions of time steps linearly: (1, T, D) -> (1, num_steps, D)."""
    if positions.shape[1] != num_steps:
        say_interpolated("positions of time steps", (positions.shape[1],), (num_steps,))
    return resize_in_line(positions, num_steps)


def resize_in_line(positions: torch.Tensor, length: int) -> torch.Tensor:
    """Interpolate positions along one axis linearly: (1, L, D) -> (1, length, D)."""
    if positions.shape[1] == length:
        return positions
    resized = F.interpolate(positions.transpose(1, 2), size=length, mode="linear")
    return resized.transpose(1, 2)


def relative_positions(table: torch.Tensor, num_queries: int, num_keys: int) -> torch.Tensor:
    """Look up how far each query along an axis lies from each key.

    Queries and keys cover the same axis; where one of them is coarser, its steps are as much
    longer: of 4 queries and 2 keys, query 3 lies 3 - 2 * 0 = 3 steps after key 0, and 1 after
    key 1. Row 0 is that of the first query and the last key, which lies 2 steps before it, as in
    the code of MViTv2 (Li et al. 2022). A table of another length is interpolated linearly.

    Args:
        table: (2 L - 1, D), a row for each distance, the longer of both axes being L.
        num_queries: along the axis.
        num_keys: along the axis.

    Returns:
        (num_queries, num_keys, D).
    """
    length = max(num_queries, num_keys)
    table = resize_in_line(table[None], 2 * length - 1)[0]
    queries = torch.arange(num_queries, device=table.device) * (length / num_queries)
    keys = torch.arange(1 - num_keys, 1, device=table.device) * (length / num_keys)
    return table[(queries[:, None] - keys).long()]


def say_interpolated(what: str, learned: tuple[int, ...], needed: tuple[int, ...]) -> None:
    """Say in the log that positions are interpolated, the first time that these are."""
    if not torch.compiler.is_compiling():  # a compiled step can say nothing
        _say_once(what, learned, needed)


@cache
def _say_once(what: str, learned: tuple[int, ...], needed: tuple[int, ...]) -> None:
    sizes = (" x ".join(map(str, size)) for size in (learned, needed))
    log.info("%s, learned for %s, are interpolated to %s", what, *sizes)
