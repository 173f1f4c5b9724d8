"""ViViT: a vision transformer over tubelets, in four ways to let time and space meet.

When to use it: as TimeSformer, with weights of a ViT trained on images; `factorised_encoder` is the
cheap one for longer clips, `joint` the most accurate one where data and memory are plenty. From
scratch on little data all of them learn slowly.

    joint                 blocks over all N_t N_s tokens                            (model 1)
    factorised_encoder    blocks over each N_s, its class token; blocks over N_t    (model 2)
    factorised_attention  in each block MSA over N_s, then MSA over N_t             (model 3)
    factorised_heads      in each MSA half of the heads see N_s, half N_t           (model 4)

A tubelet is t x h x w pixels, embedded by one 3D convolution. From images its filters start as
those of one frame in the middle (centre-frame inflation), positions are repeated over time, and
attention over time in model 3 starts at 0. The classifier starts at 0.

Source: Arnab et al. 2021, "ViViT: A Video Vision Transformer", sections 3.2 to 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.image_transformer import image_weights
from videoclf.models.blocks.positions import resize_in_space, resize_in_time
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.transformer import SelfAttention, TransformerBlock, drop_path_rates

FACTORISATIONS = ("joint", "factorised_encoder", "factorised_attention", "factorised_heads")


class FactorisedAttentionBlock(TransformerBlock):
    """A block that attends over space, then over time (model 3).

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

    def forward(self, tokens: torch.Tensor, num_steps: int) -> torch.Tensor:  # type: ignore[override]
        """Attend: (B, N_t N_s, D) -> the same shape."""
        batch = len(tokens)
        frames = tokens.unflatten(1, (num_steps, -1)).flatten(0, 1)  # (B N_t, N_s, D)
        frames = frames + self.drop_path(self.attn(self.norm1(frames)))
        places = frames.unflatten(0, (batch, -1)).transpose(1, 2).flatten(0, 1)  # (B N_s, N_t, D)
        places = places + self.drop_path(self.temporal_attn(self.temporal_norm1(places)))
        tokens = places.unflatten(0, (batch, -1)).transpose(1, 2).flatten(1, 2)
        mixed: torch.Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return mixed


class FactorisedHeadsAttention(SelfAttention):
    """Half of the heads attend over space, half over time (model 4).

    Args:
        width: D of the tokens.
        num_heads: even.

    Raises:
        ValueError: an odd number of heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__(width, num_heads)
        if num_heads % 2:
            raise ValueError(f"model.num_heads={num_heads} must be even to be halved")

    def forward(self, tokens: torch.Tensor, num_steps: int = 1) -> torch.Tensor:
        """Attend: (B, N_t N_s, D) -> the same shape."""
        batch = len(tokens)
        halves = [part.chunk(2, dim=1) for part in self.heads(tokens)]  # each (B, heads / 2, N, d)
        over_space, over_time = zip(*halves, strict=True)
        frames = [part.unflatten(2, (num_steps, -1)).transpose(1, 2) for part in over_space]
        spatial = F.scaled_dot_product_attention(*(part.flatten(0, 1) for part in frames))
        spatial = spatial.unflatten(0, (batch, num_steps)).transpose(1, 2).flatten(2, 3)
        places = [part.unflatten(2, (num_steps, -1)).movedim(3, 1) for part in over_time]
        temporal = F.scaled_dot_product_attention(*(part.flatten(0, 1) for part in places))
        temporal = temporal.unflatten(0, (batch, -1)).movedim(1, 3).flatten(2, 3)
        return self.join(torch.cat([spatial, temporal], dim=1))  # (B, heads, N, d) joined


class FactorisedHeadsBlock(TransformerBlock):
    """A block whose attention has heads for space and heads for time (model 4).

    Args:
        width: D of the tokens.
        num_heads: of the attention, even.
        mlp_ratio: width inside the MLP, in D.
        drop_path: chance that a sample skips a branch in training.
    """

    def __init__(self, width: int, num_heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__(width, num_heads, mlp_ratio, drop_path)
        self.attn = FactorisedHeadsAttention(width, num_heads)

    def forward(self, tokens: torch.Tensor, num_steps: int) -> torch.Tensor:  # type: ignore[override]
        """Attend: (B, N_t N_s, D) -> the same shape."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens), num_steps))
        mixed: torch.Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return mixed


BLOCKS: dict[str, type[TransformerBlock]] = {
    "joint": TransformerBlock,
    "factorised_encoder": TransformerBlock,
    "factorised_attention": FactorisedAttentionBlock,
    "factorised_heads": FactorisedHeadsBlock,
}


class ViViT(nn.Module):
    """A ViT over tubelets.

    Args:
        num_classes: K.
        num_frames: T that the positions in time are for; other clips interpolate them.
        image_size: likewise, height and width of the crops.
        patch_pixels: edge of a tubelet.
        tubelet_frames: its length.
        width: D of the tokens.
        depth: number of blocks.
        temporal_depth: number of blocks over time of the factorised encoder.
        num_heads: of each attention.
        mlp_ratio: width inside the MLPs, in D.
        factorisation: joint, factorised_encoder, factorised_attention or factorised_heads.
        pretrained: a ViT of timm of this shape to start from, such as
            `vit_base_patch16_224.augreg_in1k` (needs its weights cached, or the network); or null.
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
        tubelet_frames: int,
        width: int,
        depth: int,
        temporal_depth: int,
        num_heads: int,
        mlp_ratio: float,
        factorisation: str,
        pretrained: str | None,
        drop_path: float,
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        if factorisation not in FACTORISATIONS:
            raise ValueError(
                f"model.factorisation={factorisation!r} must be one of {', '.join(FACTORISATIONS)}"
            )
        if image_size % patch_pixels:
            raise ValueError(
                f"crops of {image_size} pixels do not divide into patches of "
                f"model.patch_pixels={patch_pixels}; set transform.crop_pixels to a multiple"
            )
        check_num_frames(
            num_frames,
            min_frames=tubelet_frames,
            reason=f"a tubelet is model.tubelet_frames={tubelet_frames} long",
        )
        self.min_frames = tubelet_frames
        self.patch_pixels = patch_pixels
        self.factorisation = factorisation
        self.checkpoint_activations = checkpoint_activations
        self.num_steps = num_frames // tubelet_frames
        num_places = (image_size // patch_pixels) ** 2
        tubelet = (tubelet_frames, patch_pixels, patch_pixels)
        self.patch_embed = nn.Conv3d(3, width, kernel_size=tubelet, stride=tubelet)
        encoder = factorisation == "factorised_encoder"
        #: the position of the class token, where there is one, is a parameter of its own
        self.pos_embed = nn.Parameter(
            torch.zeros(1, num_places if encoder else self.num_steps * num_places, width)
        )
        rates = drop_path_rates(drop_path, depth)
        make_block = BLOCKS[factorisation]
        self.blocks = nn.ModuleList(make_block(width, num_heads, mlp_ratio, r) for r in rates)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        if factorisation in ("joint", "factorised_encoder"):
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
            self.cls_pos_embed = nn.Parameter(torch.zeros(1, 1, width))
        if encoder:
            self.time_cls_token = nn.Parameter(torch.zeros(1, 1, width))
            self.time_cls_pos_embed = nn.Parameter(torch.zeros(1, 1, width))
            self.time_embed = nn.Parameter(torch.zeros(1, self.num_steps, width))
            self.temporal_blocks = nn.ModuleList(
                TransformerBlock(width, num_heads, mlp_ratio, drop_path)
                for _ in range(temporal_depth)
            )
            self.temporal_norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)
        self._initialize()
        if pretrained is not None:
            self.load_image_weights(image_weights(pretrained))

    def _initialize(self) -> None:
        """Draw N(0, 0.02^2), biases 0; the classifier starts at 0."""
        for name, parameter in self.named_parameters():
            if name.endswith(("cls_token", "_embed")):
                nn.init.trunc_normal_(parameter, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.classifier.weight)

    def load_image_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Start from a ViT of timm: filters in the middle frame, positions repeated over time.

        Raises:
            ValueError: weights of another network.
        """
        own = self.state_dict()
        grid = round((self.pos_embed.shape[1] / self._position_steps) ** 0.5)
        try:
            places = resize_in_space(weights["pos_embed"][:, 1:], (grid, grid))
            filters = torch.zeros_like(own["patch_embed.weight"])  # (D, 3, t, h, w)
            filters[:, :, filters.shape[2] // 2] = weights["patch_embed.proj.weight"]
            loaded = {
                "patch_embed.weight": filters,
                "patch_embed.bias": weights["patch_embed.proj.bias"],
                "pos_embed": places.repeat(1, self._position_steps, 1),
            }
            if "cls_token" in own:
                loaded["cls_token"] = weights["cls_token"]
                loaded["cls_pos_embed"] = weights["pos_embed"][:, :1]
            for name in own:
                if name.startswith(("blocks.", "norm.")) and "temporal_" not in name:
                    loaded[name] = weights[name]
            self.load_state_dict(loaded, strict=False)
        except (KeyError, RuntimeError) as error:
            raise ValueError(
                f"the image weights are not those of a ViT of this shape ({error}); load one of "
                "the same width, depth and patches"
            ) from error
        for name, parameter in self.named_parameters():
            if "temporal_attn.proj" in name:
                nn.init.zeros_(parameter)

    @property
    def _position_steps(self) -> int:
        """How many steps in time `pos_embed` holds."""
        return 1 if self.factorisation == "factorised_encoder" else self.num_steps

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the class token or the mean of all tokens (B, D)."""
        check_clip(rgb, min_frames=self.min_frames, min_pixels=self.patch_pixels)
        tubelets = self.patch_embed(rgb)  # (B, D, N_t, rows, columns)
        num_steps, grid = tubelets.shape[2], (tubelets.shape[3], tubelets.shape[4])
        tokens = tubelets.flatten(3).permute(0, 2, 3, 1)  # (B, N_t, N_s, D)
        tokens = tokens + self._positions(num_steps, grid)
        if self.factorisation == "factorised_encoder":
            return self._over_time(self._over_space(tokens))
        tokens = tokens.flatten(1, 2)  # (B, N_t N_s, D)
        if self.factorisation == "joint":
            return self._run(self._with_class(tokens), self.blocks, self.norm)[:, 0]
        return self._run(tokens, self.blocks, self.norm, num_steps).mean(1)

    def _positions(self, num_steps: int, grid: tuple[int, int]) -> torch.Tensor:
        """Return positions for a grid of tubelets, (N_t or 1, N_s, D)."""
        steps = self.pos_embed.unflatten(1, (self._position_steps, -1))[0]  # (N_t or 1, N_s, D)
        placed = torch.cat([resize_in_space(step[None], grid) for step in steps])
        if self._position_steps == 1:
            return placed
        return resize_in_time(placed.transpose(0, 1), num_steps).transpose(0, 1)

    def _with_class(self, tokens: torch.Tensor) -> torch.Tensor:
        first = (self.cls_token + self.cls_pos_embed).expand(len(tokens), -1, -1)
        return torch.cat([first, tokens], dim=1)  # (B, 1 + N, D)

    def _over_space(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode each step alone: (B, N_t, N_s, D) -> its class token (B, N_t, D)."""
        encoded = self._run(self._with_class(tokens.flatten(0, 1)), self.blocks, self.norm)
        steps: torch.Tensor = encoded[:, 0].unflatten(0, (len(tokens), -1))
        return steps

    def _over_time(self, steps: torch.Tensor) -> torch.Tensor:
        """Encode the steps: (B, N_t, D) -> the class token of the clip (B, D)."""
        first = (self.time_cls_token + self.time_cls_pos_embed).expand(len(steps), -1, -1)
        steps = steps + resize_in_time(self.time_embed, steps.shape[1])
        tokens = torch.cat([first, steps], dim=1)  # (B, 1 + N_t, D)
        return self._run(tokens, self.temporal_blocks, self.temporal_norm)[:, 0]

    def _run(
        self, tokens: torch.Tensor, blocks: nn.ModuleList, norm: nn.LayerNorm, *settings: int
    ) -> torch.Tensor:
        for block in blocks:
            tokens = run_block(block, tokens, *settings, checkpointed=self.checkpoint_activations)
        normalised: torch.Tensor = norm(tokens)
        return normalised

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits
