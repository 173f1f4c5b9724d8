"""Attention of pooled tokens: a stride makes queries fewer, another one keys and values.

    Q = P_q(X W_q),   K = P_k(X W_k),   V = P_v(X W_v)

Each P is a depthwise convolution of 3 x 3 x 3 over the places of a head, then layer norm. The class
token, which has no place, takes the norm alone.
Source: Fan et al. 2021, "Multiscale Vision Transformers", section 3.1; Li et al. 2022, "MViTv2",
section 4.1.
"""

from __future__ import annotations

import torch
from einops import einsum, rearrange
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.positions import relative_positions

#: Frames, rows and columns of tokens.
Grid = tuple[int, int, int]


def strided(grid: Grid, stride: int) -> Grid:
    """Return what a stride in space leaves of a grid, rounded up."""
    frames, rows, columns = grid
    return frames, -(-rows // stride), -(-columns // stride)


def pool_places(pool: nn.Module, tokens: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Pool all tokens but the class token: (B, heads, 1 + N, d) -> (B, heads, 1 + N', d)."""
    first, places = tokens[:, :, :1], tokens[:, :, 1:]
    frames, rows, _ = grid
    maps = rearrange(places, "b head (t h w) d -> (b head) d t h w", t=frames, h=rows)
    places = rearrange(pool(maps), "(b head) d t h w -> b head (t h w) d", b=len(tokens))
    return torch.cat([first, places], dim=2)


class HeadPooling(nn.Module):
    """A depthwise convolution over the places of each head, then layer norm.

    Args:
        head_width: d of the tokens.
        stride: in space.
    """

    def __init__(self, head_width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            head_width,
            head_width,
            kernel_size=3,
            stride=(1, stride, stride),
            padding=1,
            groups=head_width,
            bias=False,
        )
        self.norm = nn.LayerNorm(head_width, eps=1e-6)

    def forward(self, tokens: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Pool: (B, heads, 1 + N, d) -> (B, heads, 1 + N', d)."""
        pooled: torch.Tensor = self.norm(pool_places(self.conv, tokens, grid))
        return pooled


class PoolingAttention(nn.Module):
    """Attention of pooled queries to pooled keys.

    Args:
        width_in: of the tokens that come.
        width: D of the tokens that go, a multiple of the heads.
        num_heads: among which D is shared.
        query_stride: in space.
        key_stride: in space, of keys and values.
        grid: of the tokens that come, which relative positions are learned for.
        version: 1 or 2 of MViT.
    """

    def __init__(
        self,
        width_in: int,
        width: int,
        num_heads: int,
        *,
        query_stride: int,
        key_stride: int,
        grid: Grid,
        version: int,
    ) -> None:
        super().__init__()
        self.num_heads, self.version = num_heads, version
        self.query_stride, self.key_stride = query_stride, key_stride
        head_width = width // num_heads
        self.qkv = nn.Linear(width_in, 3 * width)
        self.proj = nn.Linear(width, width)
        self.pool_q = (
            HeadPooling(head_width, query_stride) if version == 2 or query_stride > 1 else None
        )
        self.pool_k = HeadPooling(head_width, key_stride)
        self.pool_v = HeadPooling(head_width, key_stride)
        if version == 2:
            frames, side, _ = strided(grid, min(query_stride, key_stride))
            self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, head_width))
            self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, head_width))
            self.rel_pos_t = nn.Parameter(torch.zeros(2 * frames - 1, head_width))

    def forward(self, tokens: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Attend: (B, 1 + N, D_in) -> (B, 1 + N', D), the class token first."""
        qkv = self.qkv(tokens)
        qkv = rearrange(qkv, "b n (part head d) -> part b head n d", part=3, head=self.num_heads)
        queries, keys, values = qkv  # each (B, heads, 1 + N, d)
        keys, values = self.pool_k(keys, grid), self.pool_v(values, grid)  # (B, heads, 1 + M, d)
        if self.pool_q is not None:
            queries = self.pool_q(queries, grid)  # (B, heads, 1 + N', d)
        positions = self._position_scores(queries, grid) if self.version == 2 else None
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=positions)
        if self.version == 2:  # the class token takes no shortcut
            mixed = torch.cat([mixed[:, :, :1], mixed[:, :, 1:] + queries[:, :, 1:]], dim=2)
        joined: torch.Tensor = self.proj(rearrange(mixed, "b head n d -> b n (head d)"))
        return joined

    def _position_scores(self, queries: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Score keys by where they lie from each query: (B, heads, 1 + N', 1 + M).

        The class token lies nowhere, and scores 0.
        """
        frames, rows, columns = strided(grid, self.query_stride)
        key_frames, key_rows, key_columns = strided(grid, self.key_stride)
        along_h = relative_positions(self.rel_pos_h, rows, key_rows)  # (h, y, d)
        along_w = relative_positions(self.rel_pos_w, columns, key_columns)  # (w, x, d)
        along_t = relative_positions(self.rel_pos_t, frames, key_frames)  # (t, s, d)
        places = queries[:, :, 1:]
        places = rearrange(places, "b head (t h w) d -> b head t h w d", t=frames, h=rows)
        scores_h = einsum(places, along_h, "b head t h w d, h y d -> b head t h w y")
        scores_w = einsum(places, along_w, "b head t h w d, w x d -> b head t h w x")
        scores_t = einsum(places, along_t, "b head t h w d, t s d -> b head t h w s")
        scores = (
            scores_t[..., :, None, None]
            + scores_h[..., None, :, None]
            + scores_w[..., None, None, :]
        )  # (B, heads, t, h, w, s, y, x)
        scores = rearrange(scores, "b head t h w s y x -> b head (t h w) (s y x)")
        return F.pad(scores, (1, 0, 1, 0))
