"""Single-frame CNN: every frame is classified alone, time is fused by averaging probabilities.

The baseline that sees no motion: permuting the frames of a clip leaves its prediction unchanged.
Training puts the loss on every frame; a clip's prediction is the mean of its frames' softmax.

    p(c | clip) = 1/T sum_t softmax(f(x_t))_c

Source: Karpathy et al. 2014, "Large-scale Video Classification with Convolutional Neural
Networks", section 3.1 (single-frame); the 2D backbones are timm's.
"""

from __future__ import annotations

import difflib

import timm
import torch
from torch import nn


class SingleFrame(nn.Module):
    """A 2D CNN on each frame.

    Args:
        num_classes: K.
        backbone: any 2D model of timm, such as `resnet50` or `resnet50.a1_in1k`.
        pretrained: load timm's published weights (needs them cached, or the network).
        dropout: before the classifier.

    Raises:
        ValueError: timm has no such backbone.
    """

    def __init__(
        self, *, num_classes: int, backbone: str, pretrained: bool, dropout: float
    ) -> None:
        super().__init__()
        if not timm.is_model(backbone):
            close = difflib.get_close_matches(backbone.split(".")[0], timm.list_models(), n=5)
            raise ValueError(
                f"model.backbone={backbone!r} is no model of timm {timm.__version__}; "
                f"some that are: {', '.join(close or ('resnet18', 'resnet50'))}"
            )
        self.cnn = timm.create_model(
            backbone, pretrained=pretrained, num_classes=num_classes, drop_rate=dropout
        )

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Classify frames (N, C, H, W) -> logits (N, K)."""
        logits: torch.Tensor = self.cnn(frames)
        return logits

    def fuse(self, features: torch.Tensor) -> torch.Tensor:
        """Pass frame logits (B, T, K) on: the loss and the prediction average over T."""
        return features

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, C, T, H, W) -> logits a frame (B, T, K)."""
        batch, _, num_frames = rgb.shape[:3]
        frames = rgb.transpose(1, 2).flatten(0, 1)  # (B * T, C, H, W)
        logits = self.encode_frames(frames)  # (B * T, K)
        return self.fuse(logits.unflatten(0, (batch, num_frames)))  # (B, T, K)
