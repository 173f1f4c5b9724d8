"""Video ResNets: residual networks of 3D, mixed or factored (2+1)D convolutions.

When to use it: as the standard mid-size 3D network; `2plus1d` is the most accurate of the three,
`mixed` has a third of the parameters, `3d` is the plainest.

    y = ReLU(x' + BN(W_2 * ReLU(BN(W_1 * x)))),   x' = x, or BN(W_s * x) where the size changes

    3d       W of 3 x 3 x 3 in every block (R3D)
    mixed    3 x 3 x 3 in the first stage, 1 x 3 x 3 in the others, which keep time (MC3)
    2plus1d  1 x 3 x 3 to M channels, BN, ReLU, then 3 x 1 x 1: twice the nonlinearities of 3d
             at the same number of parameters, M = floor(27 N_in N_out / (9 N_in + 3 N_out))

Source: Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions for Action Recognition",
section 3 and table 1. Both convolutions of a block share the first one's M, as in torchvision's
published weights, which load by `TORCHVISION_KEYS`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.initialization import initialize_for_relu
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.torchvision_weights import KeyMap, load_renamed, published_weights
from videoclf.value_types import Count

STEM_MIDDLE = 45  # M of the factored 7 x 7 stem, which does not follow the formula

#: (input channels, output channels, M, stride in space and time) -> a 3 x 3 convolution
Convolution = Callable[[int, int, int, int], nn.Module]


def full(inputs: int, outputs: int, _: int, stride: int) -> nn.Module:
    """3 x 3 x 3."""
    return nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


def spatial(inputs: int, outputs: int, _: int, stride: int) -> nn.Module:
    """1 x 3 x 3, time kept."""
    return nn.Conv3d(
        inputs, outputs, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False
    )


def factored(inputs: int, outputs: int, middle: int, stride: int) -> nn.Module:
    """1 x 3 x 3 to M channels, batch norm, ReLU, then 3 x 1 x 1."""
    return factored_convolution(inputs, outputs, middle, edge=3, stride=(stride, stride))


def factored_convolution(
    inputs: int, outputs: int, middle: int, *, edge: int, stride: tuple[int, int]
) -> nn.Sequential:
    """A spatial and a temporal convolution in a row, `stride` being that of (time, space)."""
    temporal, plane = stride
    return nn.Sequential(
        OrderedDict(
            spatial=nn.Conv3d(
                inputs,
                middle,
                (1, edge, edge),
                stride=(1, plane, plane),
                padding=(0, edge // 2, edge // 2),
                bias=False,
            ),
            norm=nn.BatchNorm3d(middle),
            relu=nn.ReLU(inplace=True),
            temporal=nn.Conv3d(
                middle, outputs, (3, 1, 1), stride=(temporal, 1, 1), padding=(1, 0, 0), bias=False
            ),
        )
    )


#: The 3 x 3 convolutions of each of the four stages.
CONVOLUTIONS: Mapping[str, Sequence[Convolution]] = {
    "3d": (full, full, full, full),
    "mixed": (full, spatial, spatial, spatial),
    "2plus1d": (factored, factored, factored, factored),
}
#: torchvision's names -> ours; its stem counts through what ours names.
TORCHVISION_KEYS: Mapping[str, KeyMap] = {
    conv: (
        *stem,
        (r"^layer1\.", "stages.0."),
        (r"^layer2\.", "stages.1."),
        (r"^layer3\.", "stages.2."),
        (r"^layer4\.", "stages.3."),
        (r"\.conv(\d)\.1\.", r".norm\1."),
        (r"\.conv(\d)\.0\.0\.", r".conv\1.spatial."),
        (r"\.conv(\d)\.0\.1\.", r".conv\1.norm."),
        (r"\.conv(\d)\.0\.3\.", r".conv\1.temporal."),
        (r"\.conv(\d)\.0\.", r".conv\1."),
        (r"\.downsample\.0\.", ".shortcut.conv."),
        (r"\.downsample\.1\.", ".shortcut.norm."),
        (r"^fc\.", "classifier."),
    )
    for conv, stem in {
        "3d": ((r"^stem\.0\.", "stem.conv."), (r"^stem\.1\.", "stem.norm.")),
        "mixed": ((r"^stem\.0\.", "stem.conv."), (r"^stem\.1\.", "stem.norm.")),
        "2plus1d": (
            (r"^stem\.0\.", "stem.conv.spatial."),
            (r"^stem\.1\.", "stem.conv.norm."),
            (r"^stem\.3\.", "stem.conv.temporal."),
            (r"^stem\.4\.", "stem.norm."),
        ),
    }.items()
}
PUBLISHED = {
    "3d": "R3D_18_Weights.KINETICS400_V1",
    "mixed": "MC3_18_Weights.KINETICS400_V1",
    "2plus1d": "R2Plus1D_18_Weights.KINETICS400_V1",
}


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around which the input is added.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        stride: of the first convolution.
        convolution: full, spatial or factored.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, convolution: Convolution) -> None:
        super().__init__()
        middle = 27 * inputs * outputs // (9 * inputs + 3 * outputs)
        self.conv1 = convolution(inputs, outputs, middle, stride)
        self.norm1 = nn.BatchNorm3d(outputs)
        self.conv2 = convolution(outputs, outputs, middle, 1)
        self.norm2 = nn.BatchNorm3d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            steps = (1 if convolution is spatial else stride, stride, stride)
            self.shortcut.add_module("conv", nn.Conv3d(inputs, outputs, 1, steps, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm3d(outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Transform maps (B, C, T, H, W) -> (B, C', T / stride, H / stride, W / stride)."""
        hidden = self.relu(self.norm1(self.conv1(maps)))
        out: torch.Tensor = self.norm2(self.conv2(hidden))
        out += self.shortcut(maps)
        return self.relu(out)  # type: ignore[no-any-return]


class VideoResNet(nn.Module):
    """A stem, four stages of residual blocks, the average over space and time, a classifier.

    Args:
        num_classes: K.
        num_frames: T of the clips, checked against the temporal strides.
        conv: 3d, mixed or 2plus1d.
        widths: channels of the four stages.
        blocks: residual blocks of each of the four stages.
        zero_init_last_norm: start each block as the identity, its last batch norm scaling by 0.
        dropout: before the classifier.
        checkpoint_activations: recompute each block in the backward pass to save memory.
        pretrained: start from torchvision's weights of Kinetics-400, all but the classifier's.

    Raises:
        ValueError: an unknown `conv`, lists that are not four long, or too few frames.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        conv: str,
        widths: Sequence[Count],
        blocks: Sequence[Count],
        zero_init_last_norm: bool,
        dropout: float,
        checkpoint_activations: bool,
        pretrained: bool,
    ) -> None:
        super().__init__()
        if conv not in CONVOLUTIONS:
            raise ValueError(f"model.conv={conv!r} is none of {', '.join(CONVOLUTIONS)}")
        if not len(widths) == len(blocks) == 4:
            raise ValueError(
                f"model.widths={list(widths)} and model.blocks={list(blocks)} must each be 4 long"
            )
        self.conv = conv
        self.checkpoint_activations = checkpoint_activations
        convolutions = CONVOLUTIONS[conv]
        self.min_frames = 2 ** sum(c is not spatial for c in convolutions[1:])
        check_num_frames(
            num_frames,
            min_frames=self.min_frames,
            reason=f"the stages of model.conv={conv} shrink time by {self.min_frames}",
        )
        self.stem = build_stem(widths[0], factored_stem=convolutions[0] is factored)
        self.stages = nn.Sequential()
        channels = widths[0]
        for place, (width, depth) in enumerate(zip(widths, blocks, strict=True)):
            stage = nn.Sequential()
            for block in range(depth):
                stride = 2 if place and not block else 1
                stage.append(ResidualBlock(channels, width, stride, convolutions[place]))
                channels = width
            self.stages.append(stage)
        self.dropout = nn.Dropout(dropout)
        initialize_for_relu(self, "fan_out")
        self.classifier = nn.Linear(channels, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)
        if zero_init_last_norm:
            for module in self.modules():
                if isinstance(module, ResidualBlock):
                    nn.init.zeros_(module.norm2.weight)
        if pretrained:
            self.load_torchvision(published_weights(PUBLISHED[conv]), with_classifier=False)

    def load_torchvision(
        self, state_dict: Mapping[str, torch.Tensor], *, with_classifier: bool = True
    ) -> None:
        """Load the weights of torchvision's r3d_18, mc3_18 or r2plus1d_18.

        Raises:
            ValueError: names or shapes that do not fit.
        """
        keys = TORCHVISION_KEYS[self.conv]
        load_renamed(self, state_dict, keys, with_classifier=with_classifier)

    def layers(self) -> tuple[nn.Module, ...]:
        """List the residual blocks from input to output."""
        return tuple(block for stage in self.stages.children() for block in stage.children())

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> features averaged over time and space (B, D)."""
        features: torch.Tensor = self._encode(rgb).mean(dim=(2, 3, 4))  # (B, D)
        return features

    def tokens(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return each place of the last maps: (B, 3, T, H, W) -> (B, T' H/16 W/16, D)."""
        return self._encode(rgb).flatten(2).transpose(1, 2)

    def _encode(self, rgb: torch.Tensor) -> torch.Tensor:
        check_clip(rgb, min_frames=self.min_frames)
        maps: torch.Tensor = self.stem(rgb)  # (B, 64, T, H / 2, W / 2)
        for block in self.layers():
            maps = run_block(block, maps, checkpointed=self.checkpoint_activations)
        return maps  # (B, D, T', H / 16, W / 16)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits


def build_stem(width: int, *, factored_stem: bool) -> nn.Sequential:
    """3 x 7 x 7, or 1 x 7 x 7 and 3 x 1 x 1, halving space; batch norm and ReLU."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv=factored_convolution(3, width, STEM_MIDDLE, edge=7, stride=(1, 2))
        if factored_stem
        else nn.Conv3d(3, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
        norm=nn.BatchNorm3d(width),
        relu=nn.ReLU(inplace=True),
    )
    return nn.Sequential(layers)
