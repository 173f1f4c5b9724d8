"""ViViT: a vision transformer over tubelets, in four ways to let time and space meet.

When to use it: as TimeSformer, with weights of a ViT trained on images; `factorised_encoder` is the
cheap one for longer clips, `joint` the most accurate one where data and memory are plenty. From
scratch on little data all of them learn slowly.

    joint                 blocks over all N_t N_s tokens                            (model 1)
    factorised_encoder    blocks over each N_s, its class token; blocks over N_t    (model 2)
    factorised_attention  in each block MSA over N_s, then MSA over N_t             (model 3)
    factorised_heads      in each MSA half of the heads see N_s, half N_t           (model 4)

A tubelet is t x h x w pixels, embedded by one 3D convolution. From images its filters start as
those of one frame in the middle (centre-frame inflation) or shared by all its frames (repeat and
divide), positions are repeated over time, and attention over time in model 3 starts at 0. The
classifier starts at 0.

Source: Arnab et al. 2021, "ViViT: A Video Vision Transformer", sections 3.2 to 3.4. The weights of
`transformers`, which has model 1, load by `TRANSFORMERS_KEYS`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from einops import rearrange, repeat
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.image_transformer import (
    check_choice,
    check_patches,
    image_weights,
    initialize,
    load_all_but,
    renamed,
)
from videoclf.models.blocks.inflated_layers import inflate_kernel
from videoclf.models.blocks.positions import resize_in_space, resize_in_time
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformer import SelfAttention, TransformerBlock, drop_path_rates
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.value_types import Count

INITIALIZATIONS = ("centre", "repeat")
FACTORISATIONS = ("joint", "factorised_encoder", "factorised_attention", "factorised_heads")
#: The names of VivitForVideoClassification -> ours; queries, keys and values are one layer here.
TRANSFORMERS_KEYS: KeyMap = (
    (r"^vivit\.", ""),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed."),
    (r"^embeddings\.cls_token", "cls_token"),
    (r"^embeddings\.position_embeddings", "pos_embed"),
    (r"^(layers|encoder\.layer)\.", "blocks."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.attention\.q_proj\.(.*)", r".attn.qkv.\1[0]"),
    (r"\.attention\.k_proj\.(.*)", r".attn.qkv.\1[1]"),
    (r"\.attention\.v_proj\.(.*)", r".attn.qkv.\1[2]"),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    # and as it writes them to files
    (r"\.attention\.attention\.query\.(.*)", r".attn.qkv.\1[0]"),
    (r"\.attention\.attention\.key\.(.*)", r".attn.qkv.\1[1]"),
    (r"\.attention\.attention\.value\.(.*)", r".attn.qkv.\1[2]"),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"^layernorm\.", "norm."),
)


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
        frames = rearrange(tokens, "b (t n) d -> (b t) n d", t=num_steps)
        frames = frames + self.drop_path(self.attn(self.norm1(frames)))
        places = rearrange(frames, "(b t) n d -> (b n) t d", t=num_steps)
        places = places + self.drop_path(self.temporal_attn(self.temporal_norm1(places)))
        tokens = rearrange(places, "(b n) t d -> b (t n) d", b=len(tokens))
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
        halves = [part.chunk(2, dim=1) for part in self.heads(tokens)]  # each (B, heads / 2, N, d)
        over_space, over_time = zip(*halves, strict=True)
        frames = [rearrange(p, "b h (t n) d -> (b t) h n d", t=num_steps) for p in over_space]
        places = [rearrange(p, "b h (t n) d -> (b n) h t d", t=num_steps) for p in over_time]
        spatial = F.scaled_dot_product_attention(*frames)
        temporal = F.scaled_dot_product_attention(*places)
        spatial = rearrange(spatial, "(b t) h n d -> b h (t n) d", t=num_steps)
        temporal = rearrange(temporal, "(b n) h t d -> b h (t n) d", b=len(tokens))
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
        initialization: of filters from a ViT's: centre, or repeat, which divides by their frames.
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
        patch_pixels: Count,
        tubelet_frames: Count,
        width: Count,
        depth: Count,
        temporal_depth: int,
        num_heads: Count,
        mlp_ratio: float,
        factorisation: str,
        initialization: str,
        pretrained: str | None,
        drop_path: float,
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        check_choice("model.factorisation", factorisation, FACTORISATIONS)
        check_choice("model.initialization", initialization, INITIALIZATIONS)
        num_places = check_patches(image_size, patch_pixels)
        check_num_frames(
            num_frames,
            min_frames=tubelet_frames,
            reason=f"a tubelet is model.tubelet_frames={tubelet_frames} long",
        )
        self.min_frames = tubelet_frames
        self.patch_pixels = patch_pixels
        self.factorisation = factorisation
        self.initialization = initialization
        self.checkpoint_activations = checkpoint_activations
        self.num_steps = num_frames // tubelet_frames
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
        initialize(self, learned_tokens=("cls_token", "_embed"))
        nn.init.zeros_(self.classifier.weight)
        if pretrained is not None:
            self.load_image_weights(image_weights(pretrained))

    def load_image_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Start from a ViT of timm: filters inflated, positions repeated over time.

        Attention over time adds nothing at first (model 3), or is new (model 2).

        Raises:
            ValueError: weights of another network.
        """
        found = renamed(weights, num_places=self.pos_embed.shape[1] // self._position_steps)
        if "pos_embed" in found:
            found["pos_embed"] = repeat(
                found["pos_embed"], "1 n d -> 1 (t n) d", t=self._position_steps
            )
        if "patch_embed.weight" in found:
            found["patch_embed.weight"] = inflate_kernel(
                found["patch_embed.weight"], self.min_frames, self.initialization
            )  # (D, 3, t, h, w)
        load_all_but(self, found, left=("classifier.", "temporal_", "time_"))
        for name, parameter in self.named_parameters():
            if "temporal_attn.proj" in name:
                nn.init.zeros_(parameter)

    def load_transformers(
        self, state_dict: Mapping[str, torch.Tensor], *, with_classifier: bool = True
    ) -> None:
        """Load the weights of a VivitForVideoClassification, for `joint` of the same shape.

        Google's use the fast approximation of GELU; ours is exact, and logits differ a little.

        Raises:
            ValueError: names or shapes do not fit.
        """
        found = under_our_names(state_dict, TRANSFORMERS_KEYS)
        if "pos_embed" in found:  # (1, 1 + N, D)
            found["cls_pos_embed"] = found["pos_embed"][:, :1]
            found["pos_embed"] = found["pos_embed"][:, 1:]
        load_all_but(self, found, left=() if with_classifier else ("classifier.",))

    @property
    def _position_steps(self) -> int:
        """How many steps in time `pos_embed` holds."""
        return 1 if self.factorisation == "factorised_encoder" else self.num_steps

    def layers(self) -> tuple[nn.Module, ...]:
        """List the blocks from input to output."""
        over_time = self.temporal_blocks if self.factorisation == "factorised_encoder" else ()
        return (*self.blocks, *over_time)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the class token or the mean of all tokens (B, D)."""
        tokens = self.tokens(rgb)
        has_class = self.factorisation in ("joint", "factorised_encoder")
        return tokens[:, 0] if has_class else tokens.mean(1)

    def tokens(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the tokens that leave the last block, normalised.

        `joint`: (B, 1 + N_t N_s, D), the class token first; `factorised_encoder`: steps in time,
        (B, 1 + N_t, D), likewise; else (B, N_t N_s, D).
        """
        check_clip(rgb, min_frames=self.min_frames, min_pixels=self.patch_pixels)
        tubelets = self.patch_embed(rgb)  # (B, D, N_t, rows, columns)
        num_steps, grid = tubelets.shape[2], (tubelets.shape[3], tubelets.shape[4])
        tokens = rearrange(tubelets, "b d t rows columns -> b t (rows columns) d")
        tokens = tokens + self._positions(num_steps, grid)
        if self.factorisation == "factorised_encoder":
            return self._over_time(self._over_space(tokens))
        tokens = rearrange(tokens, "b t n d -> b (t n) d")
        if self.factorisation == "joint":
            return self._run(self._with_class(tokens), self.blocks, self.norm)
        return self._run(tokens, self.blocks, self.norm, num_steps)

    def _positions(self, num_steps: int, grid: tuple[int, int]) -> torch.Tensor:
        """Return positions for a grid of tubelets, (N_t or 1, N_s, D)."""
        steps = rearrange(self.pos_embed, "1 (t n) d -> t 1 n d", t=self._position_steps)
        placed = torch.cat([resize_in_space(step, grid) for step in steps])  # (N_t or 1, N_s, D)
        if self._position_steps == 1:
            return placed
        times = resize_in_time(rearrange(placed, "t n d -> n t d"), num_steps)
        return rearrange(times, "n t d -> t n d")

    def _with_class(self, tokens: torch.Tensor) -> torch.Tensor:
        first = (self.cls_token + self.cls_pos_embed).expand(len(tokens), -1, -1)
        return torch.cat([first, tokens], dim=1)  # (B, 1 + N, D)

    def _over_space(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode each step alone: (B, N_t, N_s, D) -> its class token (B, N_t, D)."""
        frames = self._with_class(rearrange(tokens, "b t n d -> (b t) n d"))
        encoded = self._run(frames, self.blocks, self.norm)  # (B N_t, 1 + N_s, D)
        return rearrange(encoded[:, 0], "(b t) d -> b t d", b=len(tokens))

    def _over_time(self, steps: torch.Tensor) -> torch.Tensor:
        """Encode the steps: (B, N_t, D) -> (B, 1 + N_t, D), the class token of the clip first."""
        first = (self.time_cls_token + self.time_cls_pos_embed).expand(len(steps), -1, -1)
        steps = steps + resize_in_time(self.time_embed, steps.shape[1])
        tokens = torch.cat([first, steps], dim=1)  # (B, 1 + N_t, D)
        return self._run(tokens, self.temporal_blocks, self.temporal_norm)

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
