"""Toy fusion networks: two convolutions that show late, early and slow fusion side by side.

When to use it: to see in one table what each way of fusing time costs and sees, and to test an
idea in seconds; too small to compete.

The three are one network, told apart by how far each convolution reaches in time:

    y = pool(ReLU(W_1 * x + b_1)),   z = mean_{t,h,w} ReLU(W_2 * y + b_2),   logits = W z + b

    for clips of 3 x 20 x 64 x 64     after W_1, its field      after pool               after W_2
    late    W_1 1x3x3,  W_2 1x3x3     12x20x64x64, 1x3x3        12x20x16x16, 1x6x6       1x14x14
    early   W_1 Tx3x3,  W_2 1x3x3     12x1x64x64, 20x3x3        12x1x16x16, 20x6x6       20x14x14
    3D CNN  W_1 3x3x3,  W_2 3x3x3     12x20x64x64, 3x3x3        12x5x16x16, 6x6x6        14x14x14

A filter as long as the clip, unpadded, is early fusion's 2D filter over 3 T stacked channels.

Source: Stanford CS231n 2025, lecture 10 (video understanding), the comparison of late fusion,
early fusion and 3D CNN; its two layers of 12 and 24 filters and their sizes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.value_types import Count


class ToyFusion(nn.Module):
    """Two 3D convolutions, a pooling between them, an average over all that is left.

    Args:
        num_classes: K.
        num_frames: T of the clips.
        widths: filters of the two convolutions.
        temporal_kernels: frames that each convolution sees at once.
        temporal_paddings: frames of zeros that each convolution adds at either end.
        temporal_pool: frames that the pooling joins; it joins 4 x 4 pixels.
        dropout: before the classifier.

    Raises:
        ValueError: lists that are not two long, or too few frames for kernels and pooling.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        widths: Sequence[Count],
        temporal_kernels: Sequence[int],
        temporal_paddings: Sequence[int],
        temporal_pool: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if not len(widths) == len(temporal_kernels) == len(temporal_paddings) == 2:
            raise ValueError(
                f"model.widths={list(widths)}, model.temporal_kernels={list(temporal_kernels)} "
                f"and model.temporal_paddings={list(temporal_paddings)} must each be two long"
            )
        (first, second), (before, after) = temporal_kernels, temporal_paddings
        # frames after the pooling >= second - 2 after, so frames before it >= that many pools
        pooled = max(1, second - 2 * after) * temporal_pool
        self.min_frames = max(1, pooled + first - 1 - 2 * before)
        check_num_frames(
            num_frames,
            min_frames=self.min_frames,
            reason=f"model.temporal_kernels={list(temporal_kernels)} and "
            f"model.temporal_pool={temporal_pool} join frames",
        )
        self.stages = nn.Sequential(
            nn.Conv3d(3, widths[0], (first, 3, 3), padding=(before, 1, 1)),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((temporal_pool, 4, 4)),
            nn.Conv3d(widths[0], widths[1], (second, 3, 3), padding=(after, 1, 1)),
            nn.ReLU(inplace=True),
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(widths[1], num_classes)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> features averaged over time and space (B, D)."""
        check_clip(rgb, min_frames=self.min_frames, min_pixels=4)
        maps = self.stages(rgb)  # (B, D, T', H / 4, W / 4)
        features: torch.Tensor = maps.mean(dim=(2, 3, 4))  # (B, D)
        return features

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits
