"""X3D: a tiny image network expanded step by step along time, space, depth and width.

When to use it: where parameters and operations are scarce; it reaches the accuracy of networks
several times its cost, though depthwise 3D convolutions use hardware less well than their count.

    block(x) = ReLU(BN W_3 s(SE(BN W_2 ReLU BN W_1 x)) + shortcut(x)),   s(a) = a sigmoid(a)
    W_2 of 3 x 3 x 3, one filter a channel; W_1 and W_3 of 1 x 1 x 1, widening by 2.25
    SE(a) = a * sigmoid(V_2 ReLU V_1 mean_{t,h,w} a), in every other block

The first convolution is split: 1 x 3 x 3 over the colours, then 5 x 1 x 1 a channel. Time is
never strided. X3D-XS, S and M are one network on 4 x 160, 13 x 160 and 16 x 224; X3D-L is deeper
and takes 16 x 312.

Source: Feichtenhofer 2020, "X3D: Expanding Architectures for Efficient Video Recognition", table
1; squeeze and excitation: Hu et al. 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.initialization import initialize_for_relu
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.window_pool import WindowPool
from videoclf.value_types import Count


class X3D(nn.Module):
    """Four stages of inverted bottlenecks with depthwise 3D convolutions.

    Args:
        num_classes: K.
        stem_width: channels of the first convolution.
        stem_temporal_kernel: frames that it sees, an odd number.
        widths: channels that leave each stage.
        depths: blocks of each stage.
        expansion: inner channels of a block, in multiples of those that leave it.
        squeeze_ratio: of squeeze and excitation; 0 leaves it out.
        head_width: features before the classifier.
        zero_init_last_norm: each block starts as its shortcut.
        dropout: before the classifier.
        window_pixels: crop whose map is one window of the last mean, as the weights of some zoos
            want it; null for the whole map. See `blocks.window_pool`.
        window_average: logits or probabilities of the windows are averaged, in evaluation.
        checkpoint_activations: recompute each block in the backward pass to save memory.

    Raises:
        ValueError: lists whose lengths differ, or an even kernel.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        stem_width: Count,
        stem_temporal_kernel: int,
        widths: Sequence[Count],
        depths: Sequence[Count],
        expansion: float,
        squeeze_ratio: float,
        head_width: Count,
        zero_init_last_norm: bool,
        dropout: float,
        window_pixels: int | None,
        window_average: str,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        if len(widths) != len(depths):
            raise ValueError(
                f"model.widths={list(widths)} and model.depths={list(depths)} must be equally long"
            )
        if stem_temporal_kernel % 2 == 0:
            raise ValueError(f"model.stem_temporal_kernel={stem_temporal_kernel} must be odd")
        self.checkpoint_activations = checkpoint_activations
        time = stem_temporal_kernel
        self.stem = nn.Sequential(
            nn.Conv3d(3, stem_width, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1), bias=False),
            depthwise(stem_width, (time, 1, 1), stride=1),
            nn.BatchNorm3d(stem_width),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.ModuleList()
        norms: list[nn.BatchNorm3d] = []
        channels = stem_width
        for width, depth in zip(widths, depths, strict=True):
            for index in range(depth):
                block = InvertedBottleneck(
                    inputs=channels,
                    inner=int(width * expansion),
                    outputs=width,
                    spatial_stride=2 if index == 0 else 1,
                    squeeze_ratio=squeeze_ratio if index % 2 == 0 else 0.0,
                )
                self.blocks.append(block)
                norms.append(block.last_norm)
                channels = width
        inner = int(channels * expansion)
        self.widen = nn.Sequential(
            nn.Conv3d(channels, inner, kernel_size=1, bias=False),
            nn.BatchNorm3d(inner),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Linear(inner, head_width, bias=False), nn.ReLU(inplace=True))
        self.windows = WindowPool(window_pixels=window_pixels, window_average=window_average)
        self.dropout = nn.Dropout(dropout)
        initialize_for_relu(self, "fan_out")
        self.classifier = nn.Linear(head_width, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)
        if zero_init_last_norm:
            for norm in norms:
                nn.init.zeros_(norm.weight)

    def layers(self) -> tuple[nn.Module, ...]:
        """List the inverted bottlenecks from input to output."""
        return tuple(self.blocks)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the hidden layer above the pool (B, head_width)."""
        return self._windows(rgb).mean(1)

    def _windows(self, rgb: torch.Tensor) -> torch.Tensor:
        """(B, 3, T, H, W) -> the hidden layer above each window (B, S, head_width)."""
        check_clip(rgb)
        maps = self.stem(rgb)  # (B, 24, T, H/2, W/2)
        for layer in self.blocks:
            maps = run_block(layer, maps, checkpointed=self.checkpoint_activations)
        maps = self.widen(maps)  # (B, 432, T, H/32, W/32)
        hidden: torch.Tensor = self.head(self.windows(maps))  # (B, S, head_width)
        return hidden

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K), or (B, S, K) where windows speak."""
        read = self.windows.join(self._windows(rgb))  # (B, D), or (B, S, D) where windows speak
        logits: torch.Tensor = self.classifier(self.dropout(read))
        return logits


class InvertedBottleneck(nn.Module):
    """Widen, convolve each channel over space and time, weigh the channels, narrow."""

    def __init__(
        self, *, inputs: int, inner: int, outputs: int, spatial_stride: int, squeeze_ratio: float
    ) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv3d(inputs, inner, kernel_size=1, bias=False),
            nn.BatchNorm3d(inner),
            nn.ReLU(inplace=True),
            depthwise(inner, (3, 3, 3), stride=spatial_stride),
            nn.BatchNorm3d(inner),
            SqueezeExcitation(inner, squeeze_ratio) if squeeze_ratio else nn.Identity(),
            nn.SiLU(inplace=True),
            nn.Conv3d(inner, outputs, kernel_size=1, bias=False),
        )
        self.last_norm = nn.BatchNorm3d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or spatial_stride > 1:
            stride = (1, spatial_stride, spatial_stride)
            self.shortcut = nn.Sequential(
                nn.Conv3d(inputs, outputs, kernel_size=1, stride=stride, bias=False),
                # the published networks normalise a shortcut only where it changes the width
                nn.BatchNorm3d(outputs) if inputs != outputs else nn.Identity(),
            )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C_in, T, H, W) -> (B, C_out, T, H/stride, W/stride)."""
        change = self.last_norm(self.change(maps))
        result: torch.Tensor = (change + self.shortcut(maps)).relu()
        return result


class SqueezeExcitation(nn.Module):
    """Weigh the channels by what all of them show on average over the clip."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        inner = squeezed_width(channels, ratio)
        self.weigh = nn.Sequential(
            nn.Conv3d(channels, inner, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv3d(inner, channels, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> the same shape."""
        weights = self.weigh(maps.mean(dim=(2, 3, 4), keepdim=True))  # (B, C, 1, 1, 1)
        weighed: torch.Tensor = maps * weights
        return weighed


def depthwise(channels: int, kernel: tuple[int, int, int], *, stride: int) -> nn.Conv3d:
    """Convolve each channel by a filter of its own; the stride is that of space."""
    time, height, width = kernel
    return nn.Conv3d(
        channels,
        channels,
        kernel,
        stride=(1, stride, stride),
        padding=(time // 2, height // 2, width // 2),
        groups=channels,
        bias=False,
    )


def squeezed_width(channels: int, ratio: float) -> int:
    """Round ratio * channels to a multiple of 8, at least 8 and never below nine tenths.

    With a ratio of 1/16: 54 -> 8, 108 -> 8, 216 -> 16, 432 -> 32 (24 would be below 0.9 * 27).
    """
    wanted = ratio * channels
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded
