"""VideoMAE's fine-tuning network: a plain ViT over tubelets, positions fixed, all tokens averaged.

When to use it: after masked pretraining on your own videos without labels (`task=
masked_pretraining`, then `init_from=<its run>/checkpoints/best.ckpt`), where labels are few; from
scratch it needs far more labelled videos than a 3D CNN. `videomae_small` suits a laptop's CPU.

    tubelets of t x h x w pixels -> tokens + sin-cos positions -> blocks -> mean -> norm -> classes

Attention is joint, of all tokens to all, with biases on queries and values only. There is no class
token and no learned position, so that the same encoder runs on any subset of the tokens, which is
what makes pretraining on a tenth of them cheap (`videoclf.models.masked_autoencoder`). Other clips
than those it was built for get interpolated positions.

Source: Tong et al. 2022, "VideoMAE: Masked Autoencoders are Data-Efficient Learners for
Self-Supervised Video Pre-Training", section 3 and appendix; the authors' modeling_finetune.py.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange, repeat
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.positions import resize_in_space, resize_in_time
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.transformer import SelfAttention, TransformerBlock, drop_path_rates
from videoclf.value_types import Count


class QueryValueAttention(SelfAttention):
    """Self-attention with biases on queries and values; one on keys would change no softmax.

    Args:
        width: D of the tokens.
        num_heads: among which D is shared.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__(width, num_heads)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))

    def heads(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Project tokens (B, N, D) to queries, keys and values, each (B, heads, N, D / heads)."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        projected = nn.functional.linear(tokens, self.qkv.weight, bias)  # (B, N, 3 D)
        query, key, value = rearrange(
            projected, "b n (three heads d) -> three b heads n d", three=3, heads=self.num_heads
        )
        return query, key, value


class QueryValueBlock(TransformerBlock):
    """A block whose attention has biases on queries and values only.

    Args:
        width: D of the tokens.
        num_heads: of the attention.
        mlp_ratio: width inside the MLP, in D.
        drop_path: chance that a sample skips a branch in training.
    """

    def __init__(self, width: int, num_heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__(width, num_heads, mlp_ratio, drop_path)
        self.attn = QueryValueAttention(width, num_heads)


#: Sines of what: of the token's number in the row of all of them, as the authors do; or of its
#: step, row and column, a third of the width each, which a narrow network reads far more easily.
POSITIONS = ("line", "grid")


class TubeletEncoder(nn.Module):
    """Tubelets as tokens, fixed positions, blocks: what pretraining and fine-tuning share.

    Args:
        num_frames: T that the positions are computed for; other clips interpolate them.
        image_size: likewise, height and width of the crops.
        patch_pixels: edge of a tubelet.
        tubelet_frames: its length.
        width: D of the tokens.
        depth: number of blocks.
        num_heads: of each attention.
        mlp_ratio: width inside the MLPs, in D.
        drop_path: chance that a sample skips a branch in the last block; grows from 0.
        positions: line or grid; see `POSITIONS`.
        checkpoint_activations: recompute blocks backward instead of keeping their activations.

    Raises:
        ValueError: a value out of range, or clips that do not divide into tubelets.
    """

    def __init__(
        self,
        *,
        num_frames: int,
        image_size: int,
        patch_pixels: int,
        tubelet_frames: int,
        width: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        drop_path: float,
        positions: str,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        if positions not in POSITIONS:
            raise ValueError(f"model.positions={positions!r} must be one of {', '.join(POSITIONS)}")
        check_num_frames(
            num_frames,
            min_frames=tubelet_frames,
            reason=f"a tubelet is model.tubelet_frames={tubelet_frames} long",
        )
        self.tubelet_frames = tubelet_frames
        self.patch_pixels = patch_pixels
        self.width = width
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.checkpoint_activations = checkpoint_activations
        #: tokens in time, down and across of the clips that the positions are for
        self.grid = self.grid_of(num_frames, image_size, image_size)
        tubelet = (tubelet_frames, patch_pixels, patch_pixels)
        self.patch_embed = nn.Conv3d(3, width, kernel_size=tubelet, stride=tubelet)
        self.blocks = nn.ModuleList(
            QueryValueBlock(width, num_heads, mlp_ratio, rate)
            for rate in drop_path_rates(drop_path, depth)
        )
        self.positions_of = positions
        self.register_buffer("positions", self.make_positions(width), persistent=False)

    def make_positions(self, width: int) -> torch.Tensor:
        """Return fixed positions of this grid for tokens of a width, float32 (1, N, D)."""
        if self.positions_of == "line":
            return sinusoid_positions(math.prod(self.grid), width)
        return grid_positions(self.grid, width)

    def grid_of(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Return how many tubelets a clip has in time, down and across.

        Raises:
            ValueError: it does not divide into tubelets.
        """
        frames, pixels = self.tubelet_frames, self.patch_pixels
        if num_frames % frames:
            below = num_frames // frames * frames
            raise ValueError(
                f"clips of {num_frames} frames do not divide into tubelets of "
                f"model.tubelet_frames={frames}; set sampler.num_frames to {below} or "
                f"{below + frames}"
            )
        if height % pixels or width % pixels:
            wrong = height if height % pixels else width
            below = wrong // pixels * pixels
            nearest = f"{below} or {below + pixels}" if below else f"{pixels}"
            raise ValueError(
                f"crops of {wrong} pixels do not divide into patches of "
                f"model.patch_pixels={pixels}; set transform.crop_pixels to {nearest}"
            )
        return num_frames // frames, height // pixels, width // pixels

    def positions_for(self, grid: tuple[int, int, int]) -> torch.Tensor:
        """Return the positions (1, N, D) of a grid of tubelets, interpolated if it is another."""
        positions: torch.Tensor = self.positions  # type: ignore[assignment]
        return fit_positions(positions, self.grid, grid)

    def forward(self, rgb: torch.Tensor, visible: torch.Tensor | None = None) -> torch.Tensor:
        """Encode all tubelets of clips, or some of them.

        Args:
            rgb: clips, float (B, 3, T, H, W).
            visible: int64 (B, V), which of the N tokens go in, ascending; None is all of them.

        Returns:
            Tokens, float (B, N, D) or (B, V, D), not normalised.

        Raises:
            ValueError: another shape, or a clip that does not divide into tubelets.
        """
        check_clip(rgb, min_frames=self.tubelet_frames, min_pixels=self.patch_pixels)
        num_frames, height, width = rgb.shape[2:]
        grid = self.grid_of(num_frames, height, width)
        tokens = rearrange(self.patch_embed(rgb), "b d t h w -> b (t h w) d")  # (B, N, D)
        tokens = tokens + self.positions_for(grid).to(tokens)
        if visible is not None:
            tokens = take_tokens(tokens, visible)  # (B, V, D)
        for block in self.blocks:
            tokens = run_block(block, tokens, checkpointed=self.checkpoint_activations)
        encoded: torch.Tensor = tokens
        return encoded


def sinusoid_positions(num_tokens: int, width: int) -> torch.Tensor:
    """Return the fixed positions of tokens 0, 1, 2, ..., float32 (1, num_tokens, width).

    Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.5; sines at even places,
    cosines at odd ones.
    """
    channels = torch.arange(width)  # (D,)
    rates = 10000.0 ** (-2 * (channels // 2).double() / width)
    angles = torch.arange(num_tokens).double()[:, None] * rates  # (N, D)
    return torch.where(channels % 2 == 0, angles.sin(), angles.cos()).float()[None]


def grid_positions(grid: tuple[int, int, int], width: int) -> torch.Tensor:
    """Return positions of a grid, (1, N, D): sines of step, row and column, side by side."""
    share = width // 6 * 2
    axes = [
        sinusoid_positions(length, part)[0]
        for length, part in zip(grid, (width - 2 * share, share, share), strict=True)
    ]
    steps, rows, columns = grid
    parts = [
        repeat(axes[0], "t d -> t h w d", h=rows, w=columns),
        repeat(axes[1], "h d -> t h w d", t=steps, w=columns),
        repeat(axes[2], "w d -> t h w d", t=steps, h=rows),
    ]
    positions: torch.Tensor = rearrange(torch.cat(parts, dim=3), "t h w d -> 1 (t h w) d")
    return positions


def take_tokens(tokens: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return the tokens (B, V, D) at places int64 (B, V) among tokens (B, N, D)."""
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))


def fit_positions(
    positions: torch.Tensor, built: tuple[int, int, int], grid: tuple[int, int, int]
) -> torch.Tensor:
    """Interpolate positions (1, N, D) of the grid that they were `built` for, in space and time."""
    if built == grid:
        return positions
    steps = rearrange(positions, "1 (t n) d -> t n d", t=built[0])
    placed = torch.cat([resize_in_space(step[None], grid[1:]) for step in steps])  # (T, N', D)
    places = resize_in_time(rearrange(placed, "t n d -> n t d"), grid[0])
    fitted: torch.Tensor = rearrange(places, "n t d -> 1 (t n) d")
    return fitted


class VideoMAE(nn.Module):
    """The encoder with a class head.

    Args:
        num_classes: K.
        num_frames: T that the positions are computed for; other clips interpolate them.
        image_size: likewise, height and width of the crops.
        patch_pixels: edge of a tubelet.
        tubelet_frames: its length.
        width: D of the tokens.
        depth: number of blocks.
        num_heads: of each attention.
        mlp_ratio: width inside the MLPs, in D.
        drop_path: chance that a sample skips a branch in the last block; grows from 0.
        positions: line, as the authors', or grid, which suits narrow networks; see `POSITIONS`.
        dropout: before the classifier.
        checkpoint_activations: recompute blocks backward instead of keeping their activations.

    Raises:
        ValueError: a value out of range, or clips that do not divide into tubelets.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        patch_pixels: Count,
        tubelet_frames: Count,
        width: Count,
        depth: Count,
        num_heads: Count,
        mlp_ratio: float,
        drop_path: float,
        positions: str,
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        self.encoder = TubeletEncoder(
            num_frames=num_frames,
            image_size=image_size,
            patch_pixels=patch_pixels,
            tubelet_frames=tubelet_frames,
            width=width,
            depth=depth,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            drop_path=drop_path,
            positions=positions,
            checkpoint_activations=checkpoint_activations,
        )
        # not the norm of pretraining, which normalises single tokens and stays behind
        self.mean_norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def layers(self) -> tuple[nn.Module, ...]:
        """Return the blocks from input to output."""
        return tuple(self.encoder.blocks)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the mean of all tokens, normalised (B, D)."""
        mean: torch.Tensor = self.mean_norm(self.tokens(rgb).mean(1))
        return mean

    def tokens(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the tokens that leave the last block (B, N, D)."""
        tokens: torch.Tensor = self.encoder(rgb)
        return tokens

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits
