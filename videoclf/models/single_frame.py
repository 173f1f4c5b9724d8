"""Single-frame CNN: every frame is classified alone, time is fused by averaging probabilities.

When to use it: first, as the baseline for what a single picture tells. It sees no motion:
permuting the frames of a clip leaves its prediction unchanged. Training puts the loss on every
frame; a clip's prediction is the mean of its frames' softmax.

    p(c | clip) = 1/T sum_t softmax(f(x_t))_c

Source: Karpathy et al. 2014, "Large-scale Video Classification with Convolutional Neural
Networks", section 3.1 (single-frame); the 2D backbones are timm's.
"""

from __future__ import annotations

import torch
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone, feature_shape
from videoclf.models.blocks.clip_shape import check_clip


class SingleFrame(nn.Module):
    """A 2D CNN on each frame.

    Args:
        num_classes: K.
        image_size: height and width of the crops; only backbones bound to one size use it.
        backbone: any 2D model of timm, such as `resnet50` or `resnet50.a1_in1k`.
        pretrained: load timm's published weights (needs them cached, or the network).
        dropout: before the classifier.

    Raises:
        ValueError: timm has no such backbone, or it cannot take such frames.
    """

    def __init__(
        self, *, num_classes: int, image_size: int, backbone: str, pretrained: bool, dropout: float
    ) -> None:
        super().__init__()
        self.cnn = create_backbone(backbone, pretrained=pretrained, image_size=image_size)
        (channels,) = feature_shape(self.cnn, name=backbone, image_size=image_size)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode frames (N, 3, H, W) -> features averaged over space (N, D)."""
        features: torch.Tensor = self.cnn(frames)
        return features

    def fuse(self, features: torch.Tensor) -> torch.Tensor:
        """Classify each frame's features (B, T, D) -> logits (B, T, K).

        The loss and the prediction average over T.
        """
        logits: torch.Tensor = self.classifier(self.dropout(features))
        return logits

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the mean of their frames' features (B, D)."""
        return self._encode(rgb).mean(dim=1)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits a frame (B, T, K)."""
        return self.fuse(self._encode(rgb))

    def _encode(self, rgb: torch.Tensor) -> torch.Tensor:
        check_clip(rgb)
        frames = rgb.transpose(1, 2).flatten(0, 1)  # (B * T, 3, H, W)
        features = self.encode_frames(frames)  # (B * T, D)
        return features.reshape(len(rgb), rgb.shape[2], -1)  # (B, T, D)
