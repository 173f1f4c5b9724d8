"""Early fusion: the frames' channels are stacked, and the first 2D convolution sees them all.

When to use it: where motion over a few neighbouring frames decides and a step must cost no more
than a single frame's; time is gone after one layer, and a filter knows only the frames it was
trained at, so that the same motion a little later is a new thing to learn.

    y_1 = sum_{t=1}^{T} W_t * x_t + b,   logits = (the 2D CNN from its second layer on)(y_1)

A pretrained network starts as itself on the mean of the frames, W_t = W / T (so that a clip
without motion gives the 2D network's features); with `average_colours` as TSN's cross-modality
start, the mean of W over its input channels in place of every channel.

Sources: Karpathy et al. 2014, "Large-scale Video Classification with Convolutional Neural
Networks", section 3.1 (early fusion); Wang et al. 2016, "Temporal Segment Networks", section 3.2
(the mean over channels); the 2D backbones are timm's.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone, feature_shape
from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.stacked_frames import load_spread_weights, stack_frames


class EarlyFusion(nn.Module):
    """A 2D CNN whose first convolution takes the 3 T channels of a whole clip.

    Args:
        num_classes: K.
        num_frames: T, fixed by the first convolution.
        image_size: height and width of the crops; only backbones bound to one size use it.
        backbone: any 2D model of timm, such as `resnet50` or `resnet50.a1_in1k`.
        pretrained: start from timm's published weights (needs them cached, or the network).
        average_colours: average the pretrained first convolution over its input channels.
        dropout: before the classifier.

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
        average_colours: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.num_frames = num_frames
        self.average_colours = average_colours
        channels = 3 * num_frames
        self.cnn = create_backbone(
            backbone, pretrained=False, image_size=image_size, channels=channels
        )
        if pretrained:
            flat = create_backbone(backbone, pretrained=True, image_size=image_size)
            self.load_image_weights(flat.state_dict())
        (width,) = feature_shape(self.cnn, name=backbone, image_size=image_size, channels=channels)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, num_classes)

    def load_image_weights(self, state_dict: Mapping[str, torch.Tensor]) -> None:
        """Load the weights of the same backbone for single frames, (O, 3, h, w) filters first.

        Raises:
            ValueError: weights of another network.
        """
        load_spread_weights(
            self.cnn,
            state_dict,
            lambda flat: spread_over_frames(flat, self.num_frames, self.average_colours),
        )

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> features before the classifier (B, D)."""
        check_clip(rgb, num_frames=self.num_frames)
        features: torch.Tensor = self.cnn(stack_frames(rgb))  # (B, D)
        return features

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits


def spread_over_frames(
    weight: torch.Tensor, num_frames: int, average_colours: bool
) -> torch.Tensor:
    """Spread the filters of single frames over stacked ones, (O, 3, h, w) -> (O, 3 T, h, w).

    Every frame gets W / T: of a clip without motion the response is that of one frame.
    """
    if average_colours:
        weight = weight.mean(dim=1, keepdim=True).expand_as(weight)
    return weight.repeat(1, num_frames, 1, 1) / num_frames
