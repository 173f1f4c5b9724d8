"""Video Swin: a transformer that attends inside windows of a few frames, shifted in between.

When to use it: with weights of a 2D Swin to start from, for it keeps their shape; its cost grows
with the clip and not with its square, so that long clips and large crops are affordable.

A block attends over the tokens of each window of P x M x M; the next one shifts the windows by half
of their size, so that neighbours meet. A bias tells how two tokens of a window lie:

    softmax(Q K^T / sqrt(d) + B) V,   B_ij = table[t(i) - t(j), h(i) - h(j), w(i) - w(j)]

Between stages 2 x 2 neighbours in space are merged into one token of twice the width; time keeps
its length. No position depends on the clip's size, so that any clip will do: it is padded to whole
patches and windows, and a window larger than the clip shrinks to it. (Where it shrinks in space,
torchvision's network takes other rows of the table; here a distance keeps its row.)

From images the filters of patches are inflated, and the biases repeated over time: a still video
then gives what the image gave.

Sources: Liu et al. 2022, "Video Swin Transformer", section 3; Liu et al. 2021, "Swin Transformer".
The weights that torchvision publishes load by `TORCHVISION_KEYS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange, repeat
from torch import nn
from torch.nn import functional as F
from torchvision.ops import StochasticDepth

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.image_transformer import check_choice, image_weights, load_all_but
from videoclf.models.blocks.inflated_layers import inflate_kernel
from videoclf.models.blocks.positions import resize_in_space
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.torchvision_weights import (
    KeyMap,
    load_renamed,
    published_weights,
    rename,
)
from videoclf.models.blocks.transformer import MLP, drop_path_rates
from videoclf.models.blocks.window_attention import Sizes, WindowAttention, padding
from videoclf.value_types import Count

PATCH: Sizes = (2, 4, 4)
MLP_RATIO = 4
MAX_STAGES = 4
INITIALIZATIONS = ("repeat", "centre")
_PATCH_KEYS: KeyMap = (
    (r"^patch_embed\.proj\.", "patch_embed."),
    (r"^patch_embed\.norm\.", "patch_norm."),
)
#: torchvision's names -> ours; it counts the mergings between stages as stages.
TORCHVISION_KEYS: KeyMap = (
    *_PATCH_KEYS,
    *((rf"^features\.{2 * i}\.", f"stages.{i}.") for i in range(MAX_STAGES)),
    *((rf"^features\.{2 * i - 1}\.", f"stages.{i}.0.merging.") for i in range(1, MAX_STAGES)),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.3\.", ".mlp.fc2."),
    (r"^head\.", "classifier."),
)
#: Names of timm's 2D Swin -> ours.
TIMM_KEYS: KeyMap = (
    *_PATCH_KEYS,
    (r"^layers\.(\d)\.downsample\.", r"stages.\1.0.merging."),
    (r"^layers\.(\d)\.blocks\.", r"stages.\1."),
)


class PatchMerging(nn.Module):
    """Each 2 x 2 tokens of a frame become one, of twice the width.

    Args:
        width: D of the tokens that come.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Merge: (B, T, H, W, D) -> (B, T, H / 2, W / 2, 2 D), an odd side padded."""
        _, num_frames, rows, columns, _ = tokens.shape
        tokens = F.pad(tokens, (0, 0, *padding((num_frames, rows, columns), (1, 2, 2))))
        fours = rearrange(tokens, "b t (h m) (w n) d -> b t h w (n m d)", m=2, n=2)
        merged: torch.Tensor = self.reduction(self.norm(fours))
        return merged


class SwinBlock(nn.Module):
    """Attention inside windows, then an MLP; a stage's first block merges tokens before.

    Args:
        width_in: of the tokens that come.
        width: D of the tokens that go; where it is twice the other, tokens are merged.
        num_heads: of the attention.
        window: frames, rows and columns of tokens.
        shifted: by half a window.
        drop_path: chance that a sample skips a branch in training.
    """

    def __init__(
        self,
        width_in: int,
        width: int,
        num_heads: int,
        *,
        window: Sizes,
        shifted: bool,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.merging = PatchMerging(width_in) if width != width_in else None
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, num_heads, window=window, shifted=shifted)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, MLP_RATIO * width)
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Transform: (B, T, H, W, D) -> the same, or (B, T, H / 2, W / 2, 2 D) where it merges."""
        if self.merging is not None:
            tokens = self.merging(tokens)
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        mixed: torch.Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return mixed


class VideoSwin(nn.Module):
    """Stages of blocks over ever fewer and wider tokens; clips of any length and crop.

    Args:
        num_classes: K.
        width: D of the first stage's tokens; doubles from stage to stage.
        depths: blocks of each stage, at most four.
        num_heads: of each stage.
        window: frames, rows and columns of tokens that see each other.
        initialization: of filters from a 2D Swin's: repeat (and divide), or centre.
        pretrained: a 2D Swin of timm of this shape to start from, such as
            `swin_tiny_patch4_window7_224.ms_in1k`, or torchvision's weights of videos, such as
            `Swin3D_T_Weights.KINETICS400_V1`, all but the classifier's (either needs them cached,
            or the network); null starts anew.
        drop_path: chance that a sample skips a branch in the last block; grows from 0.
        dropout: before the classifier.
        checkpoint_activations: recompute blocks backward instead of keeping their activations.

    Raises:
        ValueError: a value out of range, an unknown network, or weights of another shape.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        width: Count,
        depths: Sequence[Count],
        num_heads: Sequence[Count],
        window: Sequence[int],
        initialization: str,
        pretrained: str | None,
        drop_path: float,
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        check_choice("model.initialization", initialization, INITIALIZATIONS)
        _check(width, depths, num_heads, window)
        self.initialization = initialization
        self.checkpoint_activations = checkpoint_activations
        self.window: Sizes = (window[0], window[1], window[2])
        self.patch_embed = nn.Conv3d(3, width, kernel_size=PATCH, stride=PATCH)
        self.patch_norm = nn.LayerNorm(width)
        rates = iter(drop_path_rates(drop_path, sum(depths)))
        self.stages = nn.ModuleList()
        for stage, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            own = width * 2**stage
            self.stages.append(
                nn.ModuleList(
                    SwinBlock(
                        own // 2 if stage and number == 0 else own,
                        own,
                        heads,
                        window=self.window,
                        shifted=number % 2 == 1,
                        drop_path=next(rates),
                    )
                    for number in range(depth)
                )
            )
        width = width * 2 ** (len(depths) - 1)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)
        self._initialize()
        if pretrained is not None and "_Weights." in pretrained:
            self.load_torchvision(published_weights(pretrained), with_classifier=False)
        elif pretrained is not None:
            self.load_image_weights(
                image_weights(pretrained, example="swin_tiny_patch4_window7_224")
            )

    def _initialize(self) -> None:
        """Draw as the paper's code: N(0, 0.02^2), the classifier N(0, 0.01^2), biases 0."""
        for module in self.modules():
            if isinstance(module, WindowAttention):
                nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)
            elif isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.weight, std=0.01)

    def load_torchvision(
        self, state_dict: Mapping[str, torch.Tensor], *, with_classifier: bool = True
    ) -> None:
        """Load the weights of torchvision's swin3d_t, swin3d_s or swin3d_b.

        Raises:
            ValueError: names or shapes that do not fit.
        """
        learned = {
            name: value
            for name, value in state_dict.items()
            if not name.endswith("relative_position_index")  # follows from the window
        }
        load_renamed(self, learned, TORCHVISION_KEYS, with_classifier=with_classifier)

    def load_image_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Start from a 2D Swin of timm: filters inflated, biases repeated over time.

        Biases of another window are interpolated; the classifier stays.

        Raises:
            ValueError: weights of another network.
        """
        frames, rows, columns = (2 * size - 1 for size in self.window)
        found = {}
        for name, value in weights.items():
            ours = rename(name, TIMM_KEYS)
            if ours == "patch_embed.weight":
                value = inflate_kernel(value, PATCH[0], self.initialization)  # (D, 3, t, h, w)
            elif ours.endswith("relative_position_bias_table"):
                in_space = resize_in_space(value[None], (rows, columns))[0]
                value = repeat(in_space, "distance head -> (t distance) head", t=frames)
            found[ours] = value
        load_all_but(self, found, left=("classifier.",), kind="Swin")

    def layers(self) -> tuple[nn.Module, ...]:
        """List the blocks from input to output."""
        return tuple(block for stage in self.stages for block in stage.children())

    def tokens(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the tokens of the last stage, normalised (B, N, D)."""
        check_clip(rgb)
        _, _, num_frames, height, width = rgb.shape
        rgb = F.pad(rgb, padding((num_frames, height, width), PATCH))
        tokens = rearrange(self.patch_embed(rgb), "b d t h w -> b t h w d")  # T / 2, H / 4, W / 4
        tokens = self.patch_norm(tokens)
        for block in self.layers():
            tokens = run_block(block, tokens, checkpointed=self.checkpoint_activations)
        normalised: torch.Tensor = self.norm(tokens)  # (B, T / 2, H / 32, W / 32, D)
        return normalised.flatten(1, 3)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the mean of the last tokens (B, D)."""
        return self.tokens(rgb).mean(1)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits


def _check(
    width: int, depths: Sequence[int], num_heads: Sequence[int], window: Sequence[int]
) -> None:
    """Refuse values that make no Swin."""
    if not 1 <= len(depths) == len(num_heads) <= MAX_STAGES:
        raise ValueError(
            f"model.depths={list(depths)} and model.num_heads={list(num_heads)} must both have a "
            f"number for each stage, of which there are at most {MAX_STAGES}"
        )
    for stage, heads in enumerate(num_heads):
        if (width * 2**stage) % heads:
            raise ValueError(
                f"model.num_heads={list(num_heads)}: {heads} heads cannot share the width "
                f"{width * 2**stage} of their stage; give divisors of it"
            )
    if len(window) != 3 or min(window) < 1:
        raise ValueError(
            f"model.window={list(window)} must be frames, rows and columns of tokens, such as "
            "[8, 7, 7]"
        )
