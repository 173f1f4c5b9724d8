"""TimeSformer: a vision transformer whose attention is divided into time and space.

When to use it: with weights of a ViT trained on images to start from, and frames that lie far
apart: every patch sees its own place in all frames in every block. From scratch on little data it
learns motion slowly.

    z' = z + W_l MSA_time(LN(z)),   over the T tokens of one place in space
    z'' = z' + MSA_space(LN(z')),   over the N tokens of one frame and the class token
    z''' = z'' + MLP(LN(z''))

`joint` attends over all N T tokens at once; `space` over each frame alone, the frames averaged at
the end, which sees no order. The class token stands in every frame for the attention over space,
and is averaged over frames after it. W_l starts at 0 in all blocks but the first, where a
pretrained network then is itself on each frame.

Source: Bertasius et al. 2021, "Is Space-Time Attention All You Need for Video Understanding?",
sections 3 and 4. The weights of `transformers` load by `TRANSFORMERS_KEYS`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from einops import rearrange, reduce, repeat
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.image_transformer import (
    check_choice,
    check_patches,
    image_weights,
    initialize,
    load_all_but,
    renamed,
)
from videoclf.models.blocks.positions import resize_in_space, resize_in_time
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformer import SelfAttention, TransformerBlock, drop_path_rates
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.value_types import Count

ATTENTIONS = ("divided", "joint", "space")
#: The names of TimesformerForVideoClassification -> ours.
TRANSFORMERS_KEYS: KeyMap = (
    (r"^timesformer\.", ""),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed."),
    (r"^embeddings\.cls_token", "cls_token"),
    (r"^embeddings\.position_embeddings", "pos_embed"),
    (r"^embeddings\.time_embeddings", "time_embed"),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.temporal_layernorm\.", ".temporal_norm1."),
    (r"\.temporal_attention\.attention\.qkv\.", ".temporal_attn.qkv."),
    (r"\.temporal_attention\.output\.dense\.", ".temporal_attn.proj."),
    (r"\.temporal_dense\.", ".temporal_fc."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.attention\.attention\.qkv\.", ".attn.qkv."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"^layernorm\.", "norm."),
)


class DividedBlock(TransformerBlock):
    """A block that attends over time, then over space.

    Args:
        width: D of the tokens.
        num_heads: of each attention.
        mlp_ratio: width inside the MLP, in D.
        drop_path: chance that a sample skips a branch in training.
    """

    def __init__(self, width: int, num_heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__(width, num_heads, mlp_ratio, drop_path)
        self.temporal_norm1 = nn.LayerNorm(width, eps=1e-6)
        self.temporal_attn = SelfAttention(width, num_heads)
        self.temporal_fc = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, num_frames: int) -> torch.Tensor:  # type: ignore[override]
        """Attend: the class token and T frames of N places, (B, 1 + T N, D) -> the same shape."""
        first, places = tokens[:, :1], tokens[:, 1:]  # (B, 1, D), (B, T N, D)
        over_time = rearrange(places, "b (t n) d -> (b n) t d", t=num_frames)
        over_time = self.drop_path(self.temporal_attn(self.temporal_norm1(over_time)))
        over_time = self.temporal_fc(over_time)  # (B N, T, D)
        places = places + rearrange(over_time, "(b n) t d -> b (t n) d", b=len(tokens))

        frames = rearrange(places, "b (t n) d -> (b t) n d", t=num_frames)
        classes = repeat(first, "b 1 d -> (b t) 1 d", t=num_frames)
        over_space = self.attn(self.norm1(torch.cat([classes, frames], dim=1)))  # (B T, 1 + N, D)
        over_space = self.drop_path(rearrange(over_space, "(b t) n d -> b t n d", t=num_frames))
        first = first + reduce(over_space[:, :, :1], "b t 1 d -> b 1 d", "mean")
        places = places + rearrange(over_space[:, :, 1:], "b t n d -> b (t n) d")

        tokens = torch.cat([first, places], dim=1)  # (B, 1 + T N, D)
        mixed: torch.Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return mixed


class TimeSformer(nn.Module):
    """A ViT over the patches of all frames.

    Args:
        num_classes: K.
        num_frames: T that the positions in time are for; other clips interpolate them.
        image_size: likewise, height and width of the crops.
        patch_pixels: edge of a patch.
        width: D of the tokens.
        depth: number of blocks.
        num_heads: of each attention.
        mlp_ratio: width inside the MLPs, in D.
        attention: divided, joint or space.
        pretrained: a ViT of timm of this shape, such as `vit_base_patch16_224.augreg_in1k`, to
            start from (needs its weights cached, or the network); null starts anew.
        drop_path: chance that a sample skips a branch in the last block; grows from 0.
        dropout: before the classifier.
        checkpoint_activations: recompute blocks backward instead of keeping their activations.

    Raises:
        ValueError: a value out of range, or an unknown network.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        patch_pixels: Count,
        width: Count,
        depth: Count,
        num_heads: Count,
        mlp_ratio: float,
        attention: str,
        pretrained: str | None,
        drop_path: float,
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        check_choice("model.attention", attention, ATTENTIONS)
        num_places = check_patches(image_size, patch_pixels)
        self.patch_pixels = patch_pixels
        self.attention = attention
        self.checkpoint_activations = checkpoint_activations
        self.patch_embed = nn.Conv2d(3, width, kernel_size=patch_pixels, stride=patch_pixels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + num_places, width))
        if attention != "space":
            self.time_embed = nn.Parameter(torch.zeros(1, num_frames, width))
        block = DividedBlock if attention == "divided" else TransformerBlock
        self.blocks = nn.ModuleList(
            block(width, num_heads, mlp_ratio, rate) for rate in drop_path_rates(drop_path, depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)
        initialize(self, learned_tokens=("cls_token", "pos_embed"))
        for later in list(self.blocks)[1:]:  # time adds nothing after block 0
            if isinstance(later, DividedBlock):
                nn.init.zeros_(later.temporal_fc.weight)
        if pretrained is not None:
            self.load_image_weights(image_weights(pretrained))

    def load_image_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Start from a ViT of timm; attention over time starts as a copy of that over space.

        Raises:
            ValueError: weights of another network.
        """
        found = renamed(weights, num_places=self.pos_embed.shape[1] - 1)
        if "pos_embed" in found:
            found["pos_embed"] = torch.cat([found["cls_pos_embed"], found["pos_embed"]], dim=1)
        for name in self.state_dict():
            source = name.replace("temporal_attn.", "attn.").replace("temporal_norm1.", "norm1.")
            if source in found:
                found[name] = found[source]
        load_all_but(self, found, left=("classifier.", "time_embed", "temporal_fc."))

    def load_transformers(
        self, state_dict: Mapping[str, torch.Tensor], *, with_classifier: bool = True
    ) -> None:
        """Load the weights of a TimesformerForVideoClassification of the same shape.

        Raises:
            ValueError: names or shapes do not fit.
        """
        found = under_our_names(state_dict, TRANSFORMERS_KEYS)
        load_all_but(self, found, left=() if with_classifier else ("classifier.",))

    def layers(self) -> tuple[nn.Module, ...]:
        """List the blocks from input to output."""
        return tuple(self.blocks)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the class token, normalised (B, D)."""
        tokens = self._encode(rgb)
        if self.attention == "space":
            tokens = reduce(tokens, "(b t) n d -> b n d", "mean", b=len(rgb))
        first: torch.Tensor = self.norm(tokens)[:, 0]  # (B, D)
        return first

    def tokens(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> all tokens, normalised: (B, 1 + T N, D), class first.

        With attention over `space` alone those of each frame in turn, (B, T (1 + N), D).
        """
        normalised: torch.Tensor = self.norm(self._encode(rgb))
        return rearrange(normalised, "(b t) n d -> b (t n) d", b=len(rgb))

    def _encode(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return what leaves the last block: (B, 1 + T N, D), or (B T, 1 + N, D) for `space`."""
        check_clip(rgb, min_pixels=self.patch_pixels)
        tokens = self._embed(rgb)
        num_frames = rgb.shape[2]
        for block in self.blocks:
            settings = (num_frames,) if self.attention == "divided" else ()
            tokens = run_block(block, tokens, *settings, checkpointed=self.checkpoint_activations)
        return tokens

    def _embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return tokens with positions: (B, 1 + T N, D), or (B T, 1 + N, D) for `space`."""
        batch, _, num_frames = rgb.shape[:3]
        patches = self.patch_embed(rearrange(rgb, "b c t h w -> (b t) c h w"))
        grid = (patches.shape[2], patches.shape[3])
        places = rearrange(patches, "bt d rows columns -> bt (rows columns) d")  # (B T, N, D)
        places = places + resize_in_space(self.pos_embed[:, 1:], grid)
        first = self.cls_token + self.pos_embed[:, :1]  # (1, 1, D)
        if self.attention != "space":
            times = resize_in_time(self.time_embed, num_frames)  # (1, T, D)
            places = places + repeat(times, "1 t d -> (b t) 1 d", b=batch)
            places = rearrange(places, "(b t) n d -> b (t n) d", b=batch)
        return torch.cat([first.expand(len(places), -1, -1), places], dim=1)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits
