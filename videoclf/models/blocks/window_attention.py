"""Attention inside windows of a few frames, rows and columns, shifted or not.

A clip of tokens is padded to whole windows; a window larger than the clip shrinks to it, and is
not shifted along that axis. Shifting is a roll: a window at an end then holds tokens from both
ends of the clip, which do not see each other. A learned bias tells how two tokens lie; a distance
keeps its row of the table in a window that shrinks.
Source: Liu et al. 2022, "Video Swin Transformer", section 3.2.
"""

from __future__ import annotations

import logging
import math
from functools import cache

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

log = logging.getLogger(__name__)

#: Frames, rows and columns.
Sizes = tuple[int, int, int]


class WindowAttention(nn.Module):
    """Multi-head attention inside windows, with a bias for each distance.

    Args:
        width: D of the tokens.
        num_heads: among which D is shared.
        window: frames, rows and columns of tokens.
        shifted: by half a window.
    """

    def __init__(self, width: int, num_heads: int, *, window: Sizes, shifted: bool) -> None:
        super().__init__()
        self.num_heads, self.window, self.shifted = num_heads, window, shifted
        distances = math.prod(2 * size - 1 for size in window)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(distances, num_heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attend: (B, T, H, W, D) -> the same shape."""
        batch, num_frames, rows, columns, _ = tokens.shape
        window, shift = self._fitted((num_frames, rows, columns))
        tokens = F.pad(tokens, (0, 0, *padding((num_frames, rows, columns), window)))
        padded = (tokens.shape[1], tokens.shape[2], tokens.shape[3])
        if not torch.compiler.is_compiling():  # a compiled step can say nothing
            _say_once(self.window, window, (num_frames, rows, columns), padded)
        if any(shift):
            tokens = tokens.roll([-step for step in shift], dims=(1, 2, 3))
        windows = to_windows(tokens, window)  # (B, windows, N, D)

        scores = self._bias(window)  # (heads, N, N)
        if any(shift):  # the scores of all windows are laid out once, whatever the batch
            scores = scores + separation(padded, window, shift, like=scores)[:, None]
            scores = rearrange(scores, "window head n m -> (window head) n m")
        folded = "b (window head) n d" if any(shift) else "(b window) head n d"
        queries, keys, values = rearrange(
            self.qkv(windows),
            f"b window n (part head d) -> part {folded}",
            part=3,
            head=self.num_heads,
        )
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=scores[None])
        mixed = rearrange(mixed, f"{folded} -> b window n (head d)", b=batch, head=self.num_heads)
        tokens = from_windows(self.proj(mixed), window, padded)  # (B, T', H', W', D)
        if any(shift):
            tokens = tokens.roll(shift, dims=(1, 2, 3))
        return tokens[:, :num_frames, :rows, :columns]

    def _fitted(self, grid: Sizes) -> tuple[Sizes, Sizes]:
        """Return the window and its shift for a clip of tokens."""
        frames, rows, columns = (
            min(size, own) for size, own in zip(grid, self.window, strict=True)
        )
        shift = [
            own // 2 if self.shifted and size > own else 0
            for size, own in zip(grid, self.window, strict=True)
        ]
        return (frames, rows, columns), (shift[0], shift[1], shift[2])

    def _bias(self, window: Sizes) -> torch.Tensor:
        """Look up the bias of each pair of tokens of a window, (heads, N, N)."""
        frames, rows, columns = (2 * size - 1 for size in self.window)
        table = self.relative_position_bias_table.view(frames, rows, columns, self.num_heads)
        apart = []
        for size, own in zip(window, self.window, strict=True):
            places = torch.arange(size, device=table.device)
            apart.append(places[:, None] - places + own - 1)  # from 0
        along_t = rearrange(apart[0], "p q -> p 1 1 q 1 1")
        along_h = rearrange(apart[1], "p q -> 1 p 1 1 q 1")
        along_w = rearrange(apart[2], "p q -> 1 1 p 1 1 q")
        bias = table[along_t, along_h, along_w]  # (t, h, w, s, y, x, heads)
        return rearrange(bias, "t h w s y x head -> head (t h w) (s y x)")


def padding(grid: Sizes, multiple: Sizes) -> tuple[int, ...]:
    """Return what to add behind the columns, rows and frames to reach a multiple, for `F.pad`."""
    (frames, rows, columns), (of_frames, of_rows, of_columns) = grid, multiple
    return (0, -columns % of_columns, 0, -rows % of_rows, 0, -frames % of_frames)


def to_windows(tokens: torch.Tensor, window: Sizes) -> torch.Tensor:
    """Cut (B, T, H, W, D) into windows, (B, windows, N, D)."""
    p, m, n = window
    return rearrange(tokens, "b (t p) (h m) (w n) d -> b (t h w) (p m n) d", p=p, m=m, n=n)


def from_windows(windows: torch.Tensor, window: Sizes, grid: Sizes) -> torch.Tensor:
    """Lay windows out again, (B, windows, N, D) -> (B, T, H, W, D)."""
    p, m, n = window
    t, h, _ = (size // own for size, own in zip(grid, window, strict=True))
    pattern = "b (t h w) (p m n) d -> b (t p) (h m) (w n) d"
    return rearrange(windows, pattern, t=t, h=h, p=p, m=m, n=n)


def separation(grid: Sizes, window: Sizes, shift: Sizes, *, like: torch.Tensor) -> torch.Tensor:
    """Return what keeps tokens apart that only the roll brought together: 0, or -inf.

    Args:
        grid: of the rolled clip.
        window: that divides it.
        shift: by which it was rolled.
        like: gives the type and the device.

    Returns:
        (windows, N, N).
    """
    region = torch.zeros(grid, dtype=torch.long, device=like.device)
    for axis, (size, own, step) in enumerate(zip(grid, window, shift, strict=True)):
        places = torch.arange(size, device=like.device)
        # along an axis of 8, windows of 4 and a shift of 2: 0 0 0 0 1 1 2 2
        along = (places >= size - own).long() + (places >= size - step) if step else 0 * places
        region = 3 * region + along.view([-1 if axis == other else 1 for other in range(3)])
    regions = to_windows(region[None, ..., None], window)[0, ..., 0]  # (windows, N)
    strangers = regions[:, :, None] != regions[:, None, :]
    return torch.zeros_like(strangers, dtype=like.dtype).masked_fill(strangers, -math.inf)


@cache
def _say_once(own: Sizes, window: Sizes, grid: Sizes, padded: Sizes) -> None:
    """Say in the log where windows shrink or a clip is padded, once for each pair of sizes."""
    if own == window and grid == padded:
        return
    sizes = (" x ".join(map(str, size)) for size in (grid, own, window, padded))
    log.info("on %s tokens, windows of %s are %s, and tokens padded to %s", *sizes)
