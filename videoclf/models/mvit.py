"""MViT: a vision transformer whose tokens become fewer and wider from block to block.

When to use it: for the accuracy of a video transformer at a third of ViT's operations, and from
scratch, where a plain ViT learns slowly: it begins with small patches, and pools as a CNN does.

Queries, keys and values are pooled before they meet: a depthwise convolution of 3 x 3 x 3, then
layer norm. A query's stride makes tokens fewer, those of keys and values attention cheap:

    Q = P_q(X W_q),   K = P_k(X W_k),   V = P_v(X W_v)
    Z = softmax(Q K^T / sqrt(d) + E) V + Q
    E_ij = Q_i . (R^h[h(i) - h(j)] + R^w[w(i) - w(j)] + R^t[t(i) - t(j)])

Where width and heads double, queries stride by 2 in space, and keys stride half as much as before.
Version 1 has absolute positions instead of E, no Q added to Z, pools queries only where they
stride, and widens in the MLP of the block before.

Sources: Fan et al. 2021, "Multiscale Vision Transformers", section 3; Li et al. 2022, "MViTv2:
Improved Multiscale Vision Transformers for Classification and Detection", section 4.1. The weights
that torchvision publishes load by `TORCHVISION_KEYS`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import nn
from torchvision.ops import StochasticDepth

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.image_transformer import initialize
from videoclf.models.blocks.pooling_attention import (
    Grid,
    PoolingAttention,
    pool_places,
    strided,
)
from videoclf.models.blocks.positions import (
    resize_in_line,
    resize_in_space,
    resize_in_time,
    say_interpolated,
)
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.torchvision_weights import (
    KeyMap,
    load_renamed,
    published_weights,
    rename,
)
from videoclf.models.blocks.transformer import drop_path_rates
from videoclf.value_types import Count

PATCH_KERNEL, PATCH_STRIDE, PATCH_PADDING = (3, 7, 7), (2, 4, 4), (1, 3, 3)
MLP_RATIO = 4
#: torchvision's names -> ours.
TORCHVISION_KEYS: KeyMap = (
    (r"^conv_proj\.", "patch_embed."),
    (r"^pos_encoding\.class_token$", "cls_token"),
    (r"^pos_encoding\.class_pos$", "cls_pos_embed"),
    (r"^pos_encoding\.spatial_pos$", "pos_embed"),
    (r"^pos_encoding\.temporal_pos$", "time_embed"),
    (r"\.attn\.project\.0\.", ".attn.proj."),
    (r"\.(pool_[qkv])\.pool\.", r".\1.conv."),
    (r"\.(pool_[qkv])\.norm_act\.0\.", r".\1.norm."),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.3\.", ".mlp.fc2."),
    (r"^head\.1\.", "classifier."),
)
PUBLISHED = {1: "MViT_V1_B_Weights.KINETICS400_V1", 2: "MViT_V2_S_Weights.KINETICS400_V1"}


class MultiscaleBlock(nn.Module):
    """Pooling attention, then an MLP; one of them may widen the tokens.

    Args:
        width_in: of the tokens that come.
        attention_width: of the tokens between attention and MLP.
        width: of the tokens that go.
        num_heads: of the attention.
        query_stride: in space, by which tokens become fewer.
        key_stride: in space.
        grid: of the tokens that come, which relative positions are learned for.
        version: 1 or 2 of MViT.
        drop_path: chance that a sample skips a branch in training.
    """

    def __init__(
        self,
        width_in: int,
        attention_width: int,
        width: int,
        num_heads: int,
        *,
        query_stride: int,
        key_stride: int,
        grid: Grid,
        version: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.query_stride = query_stride
        self.norm1 = nn.LayerNorm(width_in, eps=1e-6)
        self.attn = PoolingAttention(
            width_in,
            attention_width,
            num_heads,
            query_stride=query_stride,
            key_stride=key_stride,
            grid=grid,
            version=version,
        )
        self.norm2 = nn.LayerNorm(attention_width, eps=1e-6)
        hidden = MLP_RATIO * attention_width
        self.mlp = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(attention_width, hidden), gelu=nn.GELU(), fc2=nn.Linear(hidden, width)
            )
        )
        self.widens_first = attention_width != width_in
        self.project = nn.Linear(width_in, width) if width != width_in else None
        self.pool_skip = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, tokens: torch.Tensor, frames: int, rows: int, columns: int) -> torch.Tensor:
        """Attend: (B, 1 + N, D_in) of a grid -> (B, 1 + N', D) of the grid strided."""
        grid = (frames, rows, columns)
        normed = self.norm1(tokens)
        attended = self.attn(normed, grid)  # (B, 1 + N', D_attention)
        if self.project is not None and self.widens_first:
            tokens = self.project(normed)
        if self.query_stride > 1:
            tokens = pool_places(self.pool_skip, tokens[:, None], grid)[:, 0]
        tokens = tokens + self.drop_path(attended)
        normed = self.norm2(tokens)
        if self.project is not None and not self.widens_first:
            tokens = self.project(normed)
        mixed: torch.Tensor = tokens + self.drop_path(self.mlp(normed))
        return mixed


class MViT(nn.Module):
    """A ViT over overlapping tubelets, in stages.

    Args:
        num_classes: K.
        num_frames: T that the positions in time are for; other clips interpolate them.
        image_size: likewise, height and width of the crops.
        version: 1 or 2.
        width: D of the first block's tokens.
        num_heads: of the first block.
        depth: number of blocks.
        widening_blocks: those that take twice the width, with twice the heads, and stride.
        key_stride: in space, of the first block's keys and values; halves at each widening.
        pretrained: start from torchvision's weights of Kinetics-400, all but the classifier's:
            those of MViTv2-S or MViTv1-B, whose shape the other values must give.
        drop_path: chance that a sample skips a branch in the last block; grows from 0.
        dropout: before the classifier.
        checkpoint_activations: recompute blocks backward instead of keeping their activations.

    Raises:
        ValueError: a value out of range, or weights of another shape.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        version: int,
        width: Count,
        num_heads: Count,
        depth: Count,
        widening_blocks: Sequence[int],
        key_stride: int,
        pretrained: bool,
        drop_path: float,
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        _check(version, width, num_heads, depth, widening_blocks, key_stride)
        self.version = version
        self.checkpoint_activations = checkpoint_activations
        self.patch_embed = nn.Conv3d(3, width, PATCH_KERNEL, PATCH_STRIDE, PATCH_PADDING)
        #: of the tokens that positions are learned for
        self.grid = (-(-num_frames // 2), -(-image_size // 4), -(-image_size // 4))
        self.cls_token = nn.Parameter(torch.zeros(width))
        if version == 1:
            self.cls_pos_embed = nn.Parameter(torch.zeros(width))
            self.pos_embed = nn.Parameter(torch.zeros(self.grid[1] * self.grid[2], width))
            self.time_embed = nn.Parameter(torch.zeros(self.grid[0], width))
        self.widening_blocks = tuple(widening_blocks)
        rates = drop_path_rates(drop_path, depth)
        self.blocks = self._make_blocks(width, num_heads, key_stride, rates)
        width *= 2 ** len(self.widening_blocks)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)
        initialize(self, learned_tokens=("cls_token", "_embed", "pos_h", "pos_w", "pos_t"))
        if pretrained:
            self.load_torchvision(published_weights(PUBLISHED[version]), with_classifier=False)

    def _make_blocks(
        self, width: int, num_heads: int, key_stride: int, drop_path_rates: Sequence[float]
    ) -> nn.ModuleList:
        """Widen and stride from block to block."""
        blocks = nn.ModuleList()
        grid = self.grid
        for number, rate in enumerate(drop_path_rates):
            width_in, query_stride = width, 1
            if number in self.widening_blocks:
                query_stride = 2
                num_heads, key_stride = 2 * num_heads, max(1, key_stride // 2)
            # version 2 widens in the attention of these blocks, version 1 in the MLP before them
            if number + (self.version == 1) in self.widening_blocks:
                width = 2 * width
            blocks.append(
                MultiscaleBlock(
                    width_in,
                    width if self.version == 2 else width_in,
                    width,
                    num_heads,
                    query_stride=query_stride,
                    key_stride=key_stride,
                    grid=grid,
                    version=self.version,
                    drop_path=rate,
                )
            )
            grid = strided(grid, query_stride)
        return blocks

    def load_torchvision(
        self, state_dict: Mapping[str, torch.Tensor], *, with_classifier: bool = True
    ) -> None:
        """Load the weights of torchvision's mvit_v1_b or mvit_v2_s, positions interpolated.

        Raises:
            ValueError: names or shapes that do not fit.
        """
        own = self.state_dict()
        fitting = dict(state_dict)
        for name, value in state_dict.items():
            ours = rename(name, TORCHVISION_KEYS)
            if ours == "pos_embed" and ours in own:
                fitting[name] = resize_in_space(value[None], self.grid[1:])[0]
            elif ours in own and (ours == "time_embed" or ".rel_pos_" in ours):
                fitting[name] = resize_in_line(value[None], len(own[ours]))[0]
        load_renamed(self, fitting, TORCHVISION_KEYS, with_classifier=with_classifier)

    def layers(self) -> tuple[nn.Module, ...]:
        """List the blocks from input to output."""
        return tuple(self.blocks)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the class token, normalised (B, D)."""
        return self.tokens(rgb)[:, 0]

    def tokens(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the tokens that leave the last block, normalised.

        They are (B, 1 + N, D), the class token first.
        """
        check_clip(rgb)
        maps = self.patch_embed(rgb)  # (B, D, T / 2, H / 4, W / 4)
        grid = (maps.shape[2], maps.shape[3], maps.shape[4])
        tokens = self._with_class(rearrange(maps, "b d t h w -> b t (h w) d"), grid)
        for number, block in enumerate(self.blocks):
            tokens = run_block(block, tokens, *grid, checkpointed=self.checkpoint_activations)
            grid = strided(grid, 2 if number in self.widening_blocks else 1)
        normalised: torch.Tensor = self.norm(tokens)
        return normalised

    def _with_class(self, places: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Put the class token before the others, (B, T, H W, D) -> (B, 1 + T H W, D)."""
        first: torch.Tensor = self.cls_token
        if self.version == 1:
            first = first + self.cls_pos_embed
            places = places + resize_in_space(self.pos_embed[None], grid[1:])
            places = places + resize_in_time(self.time_embed[None], grid[0])[:, :, None]
        elif grid != self.grid:
            say_interpolated("relative positions of tokens", self.grid, grid)
        return torch.cat([first.expand(len(places), 1, -1), places.flatten(1, 2)], dim=1)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits


def _check(
    version: int,
    width: int,
    num_heads: int,
    depth: int,
    widening_blocks: Sequence[int],
    key_stride: int,
) -> None:
    """Refuse values that make no MViT."""
    if version not in PUBLISHED:
        raise ValueError(f"model.version={version} must be 1 or 2")
    if width % num_heads:
        raise ValueError(
            f"model.width={width} cannot be shared by model.num_heads={num_heads}; give a multiple"
        )
    if list(widening_blocks) != sorted({*range(1, depth)} & {*widening_blocks}):
        raise ValueError(
            f"model.widening_blocks={list(widening_blocks)} must ascend from 1 to at most "
            f"{depth - 1}, the last of model.depth={depth} blocks"
        )
    if key_stride < 1:
        raise ValueError(f"model.key_stride={key_stride} must be at least 1")
