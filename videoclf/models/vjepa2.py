"""V-JEPA 2: a ViT over tubelets with rotary positions, read by an attentive pooler.

When to use it: with published weights (`model.weights=hf:facebook/vjepa2-...`), pretrained without
labels on a million hours of video; by its paper a pooler above the largest, frozen, has 0.773 on
Something-Something V2. An encoder goes with `head=attentive`, or all of it is fine-tuned; the
poolers of Something-Something and Diving48 come with theirs. From scratch it needs far more videos
than a 3D CNN; `vjepa2_small` suits a laptop's CPU.

    tubelets of 2 x 16 x 16 -> tokens -> blocks (rotary positions) -> norm
      -> pooler: blocks without positions -> one learnt query asks all tokens -> classes

Positions are no parameters: queries and keys are turned by step, row and column of their tokens
(`videoclf.models.blocks.rotary_positions`), for whatever clip there is. There is no class token.

Source: Assran et al. 2025, "V-JEPA 2: Self-Supervised Video Models Enable Understanding, Prediction
and Planning", sections 2 and 5 and appendix; the authors' code, and transformers' of it, whose
files `videoclf.weights.key_maps.vjepa2` reads.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.attentive_pool import AttentivePool
from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.image_transformer import check_patches, initialize
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.rotary_positions import axis_channels, grid_rotation, rotate
from videoclf.models.blocks.transformer import SelfAttention, TransformerBlock, drop_path_rates
from videoclf.value_types import Count

#: Width inside the pooler's MLPs, in D, whatever the encoder's.
POOLER_MLP_RATIO = 4.0


class RotaryAttention(SelfAttention):
    """Self-attention whose queries and keys are turned by where their tokens stand.

    Args:
        width: D of the tokens.
        num_heads: among which D is shared; an even number of channels each, 6 at least.

    Raises:
        ValueError: heads that cannot be turned.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__(width, num_heads)
        head_width = width // num_heads
        if head_width % 2 or not axis_channels(head_width):
            raise ValueError(
                f"model.width={width} among model.num_heads={num_heads} is {head_width} a head; "
                "rotary positions need an even number, 6 at least"
            )

    def forward(  # type: ignore[override]
        self, tokens: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> torch.Tensor:
        """Attend: (B, N, D), with a rotation of each token (N, D / heads) -> (B, N, D)."""
        query, key, value = self.heads(tokens)
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        return self.join(F.scaled_dot_product_attention(query, key, value))


class RotaryBlock(TransformerBlock):
    """A block whose attention has rotary positions.

    Args:
        width: D of the tokens.
        num_heads: of the attention.
        mlp_ratio: width inside the MLP, in D.
        drop_path: chance that a sample skips a branch in training.
    """

    def __init__(self, width: int, num_heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__(width, num_heads, mlp_ratio, drop_path)
        self.attn = RotaryAttention(width, num_heads)

    def forward(  # type: ignore[override]
        self, tokens: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> torch.Tensor:
        """Attend: (B, N, D), with a rotation of each token (N, D / heads) -> (B, N, D)."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens), cos, sin))
        mixed: torch.Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return mixed


class RotaryEncoder(nn.Module):
    """Tubelets as tokens, blocks with rotary positions, a norm.

    Args:
        patch_pixels: edge of a tubelet.
        tubelet_frames: its length.
        width: D of the tokens.
        depth: number of blocks.
        num_heads: of each attention.
        mlp_ratio: width inside the MLPs, in D.
        drop_path: chance that a sample skips a branch in the last block; grows from 0.
        checkpoint_activations: recompute blocks backward instead of keeping their activations.
    """

    def __init__(
        self,
        *,
        patch_pixels: int,
        tubelet_frames: int,
        width: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        drop_path: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        self.patch_pixels = patch_pixels
        self.tubelet_frames = tubelet_frames
        self.head_width = width // num_heads
        self.checkpoint_activations = checkpoint_activations
        tubelet = (tubelet_frames, patch_pixels, patch_pixels)
        self.patch_embed = nn.Conv3d(3, width, kernel_size=tubelet, stride=tubelet)
        rates = drop_path_rates(drop_path, depth)
        self.blocks = nn.ModuleList(RotaryBlock(width, num_heads, mlp_ratio, r) for r in rates)
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def grid_of(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Return how many tubelets a clip has in time, down and across.

        Raises:
            ValueError: it does not divide into tubelets.
        """
        check_tubelets(num_frames, self.tubelet_frames)
        for pixels in (height, width):
            check_patches(pixels, self.patch_pixels)
        return (
            num_frames // self.tubelet_frames,
            height // self.patch_pixels,
            width // self.patch_pixels,
        )

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> normalised tokens (B, N, D), row by row of each step.

        Raises:
            ValueError: another shape, or a clip that does not divide into tubelets.
        """
        check_clip(rgb, min_frames=self.tubelet_frames, min_pixels=self.patch_pixels)
        num_frames, height, width = rgb.shape[2:]
        grid = self.grid_of(num_frames, height, width)
        tokens = rearrange(self.patch_embed(rgb), "b d t h w -> b (t h w) d")  # (B, N, D)
        rotation = grid_rotation(grid, self.head_width, device=rgb.device)
        for block in self.blocks:
            tokens = run_block(block, tokens, *rotation, checkpointed=self.checkpoint_activations)
        normalised: torch.Tensor = self.norm(tokens)
        return normalised


class Pooler(nn.Module):
    """Blocks over the tokens of an encoder, then one query that asks them all.

    Args:
        width: D of the tokens.
        depth: number of blocks before the query asks.
        num_heads: of each attention.
        checkpoint_activations: recompute blocks backward instead of keeping their activations.
    """

    def __init__(
        self, *, width: int, depth: int, num_heads: int, checkpoint_activations: bool
    ) -> None:
        super().__init__()
        self.checkpoint_activations = checkpoint_activations
        self.blocks = nn.ModuleList(
            TransformerBlock(width, num_heads, POOLER_MLP_RATIO, 0.0) for _ in range(depth)
        )
        self.pool = AttentivePool(width, num_heads, POOLER_MLP_RATIO, output_projection=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Pool tokens (B, N, D) -> (B, D)."""
        for block in self.blocks:
            tokens = run_block(block, tokens, checkpointed=self.checkpoint_activations)
        pooled: torch.Tensor = self.pool(tokens)
        return pooled


class VJEPA2(nn.Module):
    """Encoder, pooler and class head.

    Args:
        num_classes: K.
        num_frames: T of the clips to come; others are encoded as well.
        image_size: likewise, height and width of the crops.
        patch_pixels: edge of a tubelet.
        tubelet_frames: its length.
        width: D of the tokens.
        depth: number of blocks of the encoder.
        num_heads: of each of its attentions.
        mlp_ratio: width inside its MLPs, in D.
        pooler_depth: number of blocks of the pooler, before its query asks.
        pooler_heads: of each of its attentions.
        drop_path: chance that a sample skips a branch in the encoder's last block; grows from 0.
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
        pooler_depth: int,
        pooler_heads: int,
        drop_path: float,
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        check_num_frames(
            num_frames,
            min_frames=tubelet_frames,
            reason=f"a tubelet is model.tubelet_frames={tubelet_frames} long",
        )
        check_tubelets(num_frames, tubelet_frames)
        check_patches(image_size, patch_pixels)
        if pooler_heads < 1 or width % pooler_heads:
            raise ValueError(
                f"model.width={width} cannot be shared by model.pooler_heads={pooler_heads}; "
                "give a divisor"
            )
        self.encoder = RotaryEncoder(
            patch_pixels=patch_pixels,
            tubelet_frames=tubelet_frames,
            width=width,
            depth=depth,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            drop_path=drop_path,
            checkpoint_activations=checkpoint_activations,
        )
        self.pooler = Pooler(
            width=width,
            depth=pooler_depth,
            num_heads=pooler_heads,
            checkpoint_activations=checkpoint_activations,
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)
        initialize(self, learned_tokens=("pool.query",))

    def layers(self) -> tuple[nn.Module, ...]:
        """Return the blocks from input to output, the pooler's last."""
        return (*self.encoder.blocks, *self.pooler.blocks)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> what the pooler's query found (B, D)."""
        pooled: torch.Tensor = self.pooler(self.tokens(rgb))
        return pooled

    def tokens(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the encoder's tokens, normalised (B, N, D)."""
        tokens: torch.Tensor = self.encoder(rgb)
        return tokens

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits


def check_tubelets(num_frames: int, tubelet_frames: int) -> None:
    """Refuse clips whose last frames no tubelet would hold.

    Raises:
        ValueError: they do not divide into tubelets.
    """
    if num_frames % tubelet_frames:
        below = num_frames // tubelet_frames * tubelet_frames
        raise ValueError(
            f"clips of {num_frames} frames do not divide into tubelets of "
            f"model.tubelet_frames={tubelet_frames}; set sampler.num_frames to {below} or "
            f"{below + tubelet_frames}"
        )
