"""I3D: Inception-v1 with every filter inflated to three dimensions.

When to use it: for long dense clips (64 frames) and to compare with the field's reference of
2017; its modules look at several extents in time at once.

    mixed(x) = [W_0 x ; W_1b * W_1a x ; W_2b * W_2a x ; W_3 maxpool(x)]   along the channels,
    W_1b, W_2b and the pool of 3 x 3 x 3, the others of 1 x 1 x 1
    features = mean over time of the averages over 2 x H' x W';   logits = W features + b

Convolutions have no bias and are followed by batch norm and ReLU. Padding is "same" as TensorFlow
means it: ceil(size / stride) outputs, the odd pixel of padding behind. The published network
inflates a 2D Inception whose 5x5 branch becomes 3x3x3. Its classifier reads each average over two
frames and averages the logits; being linear, it gives the same for the averaged features.

Source: Carreira & Zisserman 2017, "Quo Vadis, Action Recognition? A New Model and the Kinetics
Dataset", figure 3; widths: Szegedy et al. 2015, "Going Deeper with Convolutions", table 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.recomputation import run_block

#: Of each mixed module the widths of branches 0, 1a, 1b, 2a, 2b, 3.
MIXED_WIDTHS = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


class I3D(nn.Module):
    """The inflated Inception-v1.

    Args:
        num_classes: K.
        num_frames: T of the clips, at least the 8 that the strides join.
        width_multiplier: of all widths; 1 is the published network.
        dropout: before the classifier.
        checkpoint_activations: recompute each mixed module in the backward pass to save memory.

    Raises:
        ValueError: too few frames.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        width_multiplier: float,
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        check_num_frames(num_frames, min_frames=8, reason="the strides of I3D shrink time by 8")
        self.checkpoint_activations = checkpoint_activations

        def scaled(*widths: int) -> list[int]:
            return [max(1, round(width * width_multiplier)) for width in widths]

        first, second, third = scaled(64, 64, 192)
        self.conv_1 = ConvUnit(3, first, kernel=7, stride=(2, 2, 2))
        self.pool_2 = SamePool(kernel=(1, 3, 3), stride=(1, 2, 2))
        self.conv_2b = ConvUnit(first, second, kernel=1)
        self.conv_2c = ConvUnit(second, third, kernel=3)
        self.pool_3 = SamePool(kernel=(1, 3, 3), stride=(1, 2, 2))
        self.pool_4 = SamePool(kernel=(3, 3, 3), stride=(2, 2, 2))
        self.pool_5 = SamePool(kernel=(2, 2, 2), stride=(2, 2, 2))
        self.mixed = nn.ModuleDict()
        channels = third
        for name, widths in MIXED_WIDTHS.items():
            module = Mixed(channels, scaled(*widths))
            self.mixed[name] = module
            channels = module.outputs
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> (B, 1024)."""
        check_clip(rgb, min_frames=8)
        maps = self.pool_2(self.conv_1(rgb))  # (B, 64, T/2, H/4, W/4)
        maps = self.pool_3(self.conv_2c(self.conv_2b(maps)))  # (B, 192, T/2, H/8, W/8)
        for name, module in self.mixed.items():
            if name == "4b":
                maps = self.pool_4(maps)  # (B, 480, T/4, H/16, W/16)
            elif name == "5b":
                maps = self.pool_5(maps)  # (B, 832, T/8, H/32, W/32)
            maps = run_block(module, maps, checkpointed=self.checkpoint_activations)
        frames = maps.mean(dim=(3, 4))  # (B, 1024, T/8)
        if frames.shape[2] > 1:
            frames = F.avg_pool1d(frames, kernel_size=2, stride=1)  # (B, 1024, T/8 - 1)
        features: torch.Tensor = frames.mean(dim=2)  # (B, 1024)
        return features

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits


class ConvUnit(nn.Module):
    """A cubic convolution with "same" padding, batch norm, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: tuple[int, int, int] = (1, 1, 1)
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, bias=False)
        self.norm = nn.BatchNorm3d(outputs, eps=1e-3)
        if stride == (1, 1, 1):
            self.conv.padding = (kernel // 2,) * 3  # an odd kernel pads alike on both sides
        nn.init.trunc_normal_(self.conv.weight, std=(2 / (inputs * kernel**3)) ** 0.5)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C_in, T, H, W) -> (B, C_out, T', H', W'), ceil(size / stride) a side."""
        if self.conv.stride != (1, 1, 1):
            maps = pad_same(maps, self.conv.kernel_size, self.conv.stride)
        return F.relu(self.norm(self.conv(maps)), inplace=True)


class SamePool(nn.Module):
    """A max-pool with "same" padding; it follows a ReLU, so that padding by 0 never wins."""

    def __init__(self, *, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C, T', H', W'), ceil(size / stride) a side."""
        padded = pad_same(maps, self.kernel, self.stride)
        return F.max_pool3d(padded, self.kernel, self.stride)


class Mixed(nn.Module):
    """Four branches side by side, joined along the channels."""

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        branch_0, branch_1a, branch_1b, branch_2a, branch_2b, branch_3 = widths
        self.outputs = branch_0 + branch_1b + branch_2b + branch_3
        self.branch_0 = ConvUnit(inputs, branch_0, kernel=1)
        self.branch_1 = nn.Sequential(
            ConvUnit(inputs, branch_1a, kernel=1), ConvUnit(branch_1a, branch_1b, kernel=3)
        )
        self.branch_2 = nn.Sequential(
            ConvUnit(inputs, branch_2a, kernel=1), ConvUnit(branch_2a, branch_2b, kernel=3)
        )
        self.branch_3 = nn.Sequential(
            nn.MaxPool3d(kernel_size=3, stride=1, padding=1), ConvUnit(inputs, branch_3, kernel=1)
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C_in, T, H, W) -> (B, C_out, T, H, W)."""
        branches = (self.branch_0, self.branch_1, self.branch_2, self.branch_3)
        return torch.cat([branch(maps) for branch in branches], dim=1)


def pad_same(maps: torch.Tensor, kernel: Sequence[int], stride: Sequence[int]) -> torch.Tensor:
    """Pad (B, C, T, H, W) with zeros so that each side gives ceil(size / stride) outputs.

    A side of 224 under a kernel of 7 and a stride of 2: 112 outputs need 111 * 2 + 7 = 229
    inputs, so 2 zeros come before and 3 behind.
    """
    padding: list[int] = []
    for side, width, step in zip(maps.shape[2:], kernel, stride, strict=True):
        outputs = -(-side // step)
        missing = max(0, (outputs - 1) * step + width - side)
        padding = [missing // 2, missing - missing // 2, *padding]  # F.pad counts from the last
    return F.pad(maps, padding) if any(padding) else maps
