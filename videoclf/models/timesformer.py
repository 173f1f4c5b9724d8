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
sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.image_transformer import image_weights
from videoclf.models.blocks.positions import resize_in_space, resize_in_time
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.transformer import SelfAttention, TransformerBlock, drop_path_rates

ATTENTIONS = ("divided", "joint", "space")


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
        """Attend: the class token and N places x T frames, (B, 1 + N T, D) -> the same shape."""
        first, places = tokens[:, :1], tokens[:, 1:].unflatten(1, (-1, num_frames))  # (B, N, T, D)
        batch, num_places = places.shape[:2]
        over_time = places.flatten(0, 1)  # (B N, T, D)
        over_time = self.drop_path(self.temporal_attn(self.temporal_norm1(over_time)))
        places = places + self.temporal_fc(over_time).unflatten(0, (batch, num_places))

        frames = places.transpose(1, 2).flatten(0, 1)  # (B T, N, D)
        classes = first.repeat_interleave(num_frames, 0)  # (B T, 1, D)
        over_space = self.attn(self.norm1(torch.cat([classes, frames], dim=1)))  # (B T, 1 + N, D)
        over_space = self.drop_path(over_space).unflatten(0, (batch, num_frames))
        first = first + over_space[:, :, 0].mean(1, keepdim=True)  # (B, 1, D)
        places = places + over_space[:, :, 1:].transpose(1, 2)  # (B, N, T, D)

        tokens = torch.cat([first, places.flatten(1, 2)], dim=1)  # (B, 1 + N T, D)
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
        patch_pixels: int,
        width: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        attention: str,
        pretrained: str | None,
        drop_path: float,
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise ValueError(
                f"model.attention={attention!r} must be one of {', '.join(ATTENTIONS)}"
            )
        if image_size % patch_pixels:
            raise ValueError(
                f"crops of {image_size} pixels do not divide into patches of "
                f"model.patch_pixels={patch_pixels}; set transform.crop_pixels to a multiple"
            )
        self.patch_pixels = patch_pixels
        self.attention = attention
        self.checkpoint_activations = checkpoint_activations
        self.patch_embed = nn.Conv2d(3, width, kernel_size=patch_pixels, stride=patch_pixels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        num_places = (image_size // patch_pixels) ** 2
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
        self._initialize()
        if pretrained is not None:
            self.load_image_weights(image_weights(pretrained))

    def _initialize(self) -> None:
        """Draw as the paper's code: N(0, 0.02^2), biases 0; time adds nothing after block 0."""
        for parameter in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(parameter, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for block in list(self.blocks)[1:]:
            if isinstance(block, DividedBlock):
                nn.init.zeros_(block.temporal_fc.weight)

    def load_image_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Start from a ViT of timm; attention over time starts as a copy of that over space.

        Raises:
            ValueError: weights of another network.
        """
        own = self.state_dict()
        loaded = {}
        for name, value in own.items():
            source = name.replace("patch_embed.", "patch_embed.proj.")
            source = source.replace("temporal_attn.", "attn.").replace("temporal_norm1.", "norm1.")
            if name.startswith("classifier.") or name == "time_embed" or "temporal_fc" in name:
                continue
            found = weights.get(source)
            if found is not None and source == "pos_embed" and found.shape != value.shape:
                grid = round((value.shape[1] - 1) ** 0.5)
                space = resize_in_space(found[:, 1:], (grid, grid))
                found = torch.cat([found[:, :1], space], dim=1)
            if found is None or found.shape != value.shape:
                shape = "missing" if found is None else tuple(found.shape)
                raise ValueError(
                    f"the image weight {source} is {shape}, not {tuple(value.shape)}; load a ViT "
                    "of the same width, depth and patches"
                )
            loaded[name] = found
        self.load_state_dict(loaded, strict=False)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the class token, normalised (B, D)."""
        check_clip(rgb, min_pixels=self.patch_pixels)
        tokens = self._embed(rgb)
        num_frames = rgb.shape[2]
        for block in self.blocks:
            settings = (num_frames,) if self.attention == "divided" else ()
            tokens = run_block(block, tokens, *settings, checkpointed=self.checkpoint_activations)
        if self.attention == "space":
            tokens = tokens.unflatten(0, (len(rgb), num_frames)).mean(1)  # (B, 1 + N, D)
        first: torch.Tensor = self.norm(tokens)[:, 0]  # (B, D)
        return first

    def _embed(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return tokens with positions: (B, 1 + N T, D), or (B T, 1 + N, D) for `space`."""
        batch, _, num_frames = rgb.shape[:3]
        patches = self.patch_embed(rgb.transpose(1, 2).flatten(0, 1))  # (B T, D, rows, columns)
        grid = (patches.shape[2], patches.shape[3])
        places = patches.flatten(2).transpose(1, 2)  # (B T, N, D)
        places = places + resize_in_space(self.pos_embed[:, 1:], grid)
        first = self.cls_token + self.pos_embed[:, :1]  # (1, 1, D)
        if self.attention == "space":
            return torch.cat([first.expand(len(places), -1, -1), places], dim=1)
        places = places.unflatten(0, (batch, num_frames)).transpose(1, 2)  # (B, N, T, D)
        places = places + resize_in_time(self.time_embed, num_frames)
        return torch.cat([first.expand(batch, -1, -1), places.flatten(1, 2)], dim=1)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits
