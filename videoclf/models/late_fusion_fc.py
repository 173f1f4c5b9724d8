"""Late fusion with fully connected layers: a 2D CNN on each frame, one MLP over all their maps.

When to use it: to let a network weigh what shows where and in which frame, on clips of one
length; fine motion between neighbouring frames is pooled away before the frames meet, and the
first fully connected layer is large.

The maps of all frames are flattened and concatenated, so that position in space and time is kept:

    f_t = CNN(x_t),   z = [vec(f_1); ...; vec(f_T)],   logits = W MLP(z) + b

Source: Karpathy et al. 2014, "Large-scale Video Classification with Convolutional Neural
Networks", section 3.1 (late fusion, there with two frames); the 2D backbones are timm's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone, feature_shape, frame_maps
from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.fully_connected import fully_connected
from videoclf.value_types import Count


class LateFusionFC(nn.Module):
    """A 2D CNN on each frame, fully connected layers over the maps of all frames.

    Args:
        num_classes: K.
        num_frames: T, fixed by the first fully connected layer.
        image_size: height and width of the crops, fixed by the same layer.
        backbone: any 2D model of timm, such as `resnet50` or `resnet50.a1_in1k`.
        pretrained: load timm's published weights (needs them cached, or the network).
        map_channels: a 1x1 convolution brings each map to so many channels before it is
            flattened; None keeps the backbone's.
        hidden: widths of the MLP's layers; none makes it linear.
        dropout: between fully connected layers and before the classifier.

    Raises:
        ValueError: timm has no such backbone, or it cannot take such frames.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        backbone: str,
        pretrained: bool,
        map_channels: Count | None,
        hidden: Sequence[Count],
        dropout: float,
    ) -> None:
        super().__init__()
        self.num_frames = num_frames
        self.image_size = image_size
        self.cnn = create_backbone(
            backbone, pretrained=pretrained, image_size=image_size, pooled=False
        )
        channels, *grid = feature_shape(self.cnn, name=backbone, image_size=image_size)
        self.reduce = nn.Conv2d(channels, map_channels, 1) if map_channels else nn.Identity()
        inputs = num_frames * (map_channels or channels) * math.prod(grid)
        self.mlp = fully_connected(inputs, hidden, dropout)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear((inputs, *hidden)[-1], num_classes)

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode frames (N, 3, H, W) -> maps (N, D, H', W')."""
        maps: torch.Tensor = self.reduce(frame_maps(self.cnn, frames))
        return maps

    def fuse(self, features: torch.Tensor) -> torch.Tensor:
        """Fuse the maps of a clip's frames (B, T, D, H', W') -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self._fuse(features)))
        return logits

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> features before the classifier (B, D')."""
        return self._fuse(self._encode(rgb))

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        return self.fuse(self._encode(rgb))

    def _encode(self, rgb: torch.Tensor) -> torch.Tensor:
        check_clip(rgb, num_frames=self.num_frames, image_size=self.image_size)
        frames = rgb.transpose(1, 2).flatten(0, 1)  # (B * T, 3, H, W)
        maps = self.encode_frames(frames)  # (B * T, D, H', W')
        return maps.reshape(len(rgb), self.num_frames, *maps.shape[1:])  # (B, T, D, H', W')

    def _fuse(self, maps: torch.Tensor) -> torch.Tensor:
        fused: torch.Tensor = self.mlp(maps.flatten(1))  # (B, T * D * H' * W') -> (B, D')
        return fused
