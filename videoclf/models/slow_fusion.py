"""Slow fusion: a small 3D CNN whose layers see ever longer stretches of time.

When to use it: as a small network from scratch on drawn or short videos, where a step must be
quick on a CPU and motion matters; on large data the deeper 3D networks win.

Every stage convolves over space and time at once, so that motion is found where it happens and
higher layers fuse what lower ones found. With 3x3x3 kernels the temporal receptive field grows
by two frames a layer, times the strides below it.

    x_{l+1} = ReLU(BN(W_l * x_l)),  W_l of 3 x 3 x 3;   logits = W mean_{t,h,w}(x_L) + b

Sources: Karpathy et al. 2014 (slow fusion); Tran et al. 2015 (3x3x3 kernels throughout).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.value_types import Count


def conv_block(inputs: int, outputs: int, stride: tuple[int, int, int]) -> nn.Sequential:
    """3x3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm3d(outputs),
        nn.ReLU(inplace=True),
    )


class SlowFusion(nn.Module):
    """A 3D CNN of `len(widths)` stages, each halving space and, by `temporal_strides`, time.

    Args:
        num_classes: K.
        num_frames: T of the clips, checked against the temporal strides.
        widths: channels of each stage.
        temporal_strides: of each stage's first convolution.
        convs_per_stage: convolutions a stage.
        dropout: before the classifier.

    Raises:
        ValueError: lengths that differ, or too few frames for the strides.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        widths: Sequence[Count],
        temporal_strides: Sequence[Count],
        convs_per_stage: Count,
        dropout: float,
    ) -> None:
        super().__init__()
        if len(widths) != len(temporal_strides):
            raise ValueError(
                f"model.widths={list(widths)} and "
                f"model.temporal_strides={list(temporal_strides)} must have equal length"
            )
        self.min_frames = shrink = math.prod(temporal_strides)
        if num_frames < shrink:
            raise ValueError(
                f"model.temporal_strides={list(temporal_strides)} shrink time by {shrink}, "
                f"more than the clip's {num_frames} frames; raise sampler.num_frames or lower them"
            )
        stages: list[nn.Module] = []
        channels = 3
        for width, stride in zip(widths, temporal_strides, strict=True):
            stages.append(conv_block(channels, width, (stride, 2, 2)))
            stages += [conv_block(width, width, (1, 1, 1)) for _ in range(convs_per_stage - 1)]
            channels = width
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> features averaged over time and space (B, D)."""
        check_clip(rgb, min_frames=self.min_frames)
        maps = self.stages(rgb)  # (B, D, T', H', W')
        features: torch.Tensor = maps.mean(dim=(2, 3, 4))  # (B, D)
        return features

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits
