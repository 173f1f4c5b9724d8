"""The temporal stream: a 2D CNN over stacked optical flow, which sees motion and nothing else.

When to use it: where what moves matters more than what is there, and little is there to train on:
flow has no colour, light or texture to overfit. Beside a network for single frames it makes the
two-stream method: train both, then average their predictions.

    y_1 = sum_{t=1}^{L} W^x_t * u_t + W^y_t * v_t + b,   logits = (the 2D CNN from there on)(y_1)

with (u_t, v_t) the displacement from frame t to t + 1. A network trained on images gives its first
convolution averaged over colours and repeated for all 2L channels (cross-modality start).

Sources: Simonyan & Zisserman 2014, "Two-Stream Convolutional Networks for Action Recognition in
Videos", section 3 (the stack); Wang et al. 2016, "Temporal Segment Networks", section 3.2 (the
start); the 2D backbones are timm's.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone, feature_shape
from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.stacked_frames import load_spread_weights, stack_frames


class TemporalStream(nn.Module):
    """A 2D CNN whose first convolution takes the 2 L channels of L flow fields.

    Args:
        num_classes: K.
        num_frames: L, fixed by the first convolution.
        image_size: height and width of the crops; only backbones bound to one size use it.
        backbone: any 2D model of timm, such as `resnet50` or `resnet50.a1_in1k`.
        pretrained: start from timm's published weights (needs them cached, or the network).
        dropout: before the classifier; 0.9 in the paper, which trained from scratch.

    Raises:
        ValueError: timm has no such backbone, or it cannot take such fields.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        backbone: str,
        pretrained: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.num_frames = num_frames
        channels = 2 * num_frames
        self.cnn = create_backbone(
            backbone, pretrained=False, image_size=image_size, channels=channels
        )
        if pretrained:
            flat = create_backbone(backbone, pretrained=True, image_size=image_size)
            self.load_image_weights(flat.state_dict())
        (width,) = feature_shape(self.cnn, name=backbone, image_size=image_size, channels=channels)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)

    def load_image_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Start from the same backbone trained on images (TSN, section 3.2).

        Raises:
            ValueError: weights of another network.
        """
        load_spread_weights(
            self.cnn, weights, lambda flat: spread_over_fields(flat, self.num_frames)
        )

    def features(self, flow: torch.Tensor) -> torch.Tensor:
        """Encode flow (B, 2, L, H, W) -> features before the classifier (B, D)."""
        check_clip(flow, num_frames=self.num_frames, channels=2)
        features: torch.Tensor = self.cnn(stack_frames(flow))  # (B, D)
        return features

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Classify flow (B, 2, L, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(flow)))  # (B, K)
        return logits


def spread_over_fields(weight: torch.Tensor, num_frames: int) -> torch.Tensor:
    """Average the filters of images over colours, repeated: (O, 3, h, w) -> (O, 2 L, h, w)."""
    return weight.mean(dim=1, keepdim=True).repeat(1, 2 * num_frames, 1, 1)
