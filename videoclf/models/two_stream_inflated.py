"""Two inflated streams: a 3D CNN on frames and one on optical flow, each grown from a 2D CNN.

When to use it: with weights trained on images and enough clips to fine-tune on; in the paper flow
added 3 points on Kinetics to a 3D CNN that sees the frames of the whole clip anyway.

    p = (softmax(A f(x) + b) + softmax(B g(u) + b)) / 2,   f, g inflated, each pooled over all

`InflatedFlow` is the second stream alone, for training the streams apart.

Source: Carreira & Zisserman 2017, "Quo Vadis, Action Recognition? A New Model and the Kinetics
Dataset", sections 2.4 and 2.5 (two-stream I3D); inflation is `videoclf.models.inflation`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone
from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.inflation import inflate, inflate_weights
from videoclf.models.two_stream import average_of_streams
from videoclf.value_types import Count


class InflatedFlow(nn.Module):
    """A timm CNN over the two channels of flow, inflated.

    Args:
        num_classes: K.
        num_frames: T of the clips, checked against the temporal strides.
        image_size: height and width of the crops; only backbones bound to one size use it.
        backbone: 2D CNN of timm; its ResNet family works as a whole.
        pretrained: inflate timm's published weights (needs them cached, or the network).
        initialization: repeat or centre.
        temporal_kernels: see `videoclf.models.inflation.inflate`.
        temporal_strides: likewise.
        time_padding: zeros or replicate.
        dropout: before the classifier.

    Raises:
        ValueError: a backbone that does not exist or cannot be inflated, too few frames.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        backbone: str,
        pretrained: bool,
        initialization: str,
        temporal_kernels: Mapping[str, int],
        temporal_strides: Mapping[str, Count],
        time_padding: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.min_frames = _min_frames(num_frames, temporal_strides)
        self.initialization = initialization
        # timm averages a pretrained first convolution over colours itself where channels differ
        cnn_2d = create_backbone(backbone, pretrained=pretrained, image_size=image_size, channels=2)
        self.cnn = inflate(
            cnn_2d,
            temporal_kernels=temporal_kernels,
            temporal_strides=temporal_strides,
            initialization=initialization,
            time_padding=time_padding,
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(int(cnn_2d.num_features), num_classes)  # type: ignore[arg-type]

    def load_image_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Inflate the same backbone trained on images, its first filters averaged over colours.

        Raises:
            ValueError: weights that are missing or of another shape.
        """
        target = self.cnn.state_dict()
        averaged = {
            name: value.mean(1, keepdim=True).repeat(1, 2, 1, 1)
            if value.ndim == 4 and value.shape[1] == 3 and target[name].shape[1] == 2
            else value
            for name, value in weights.items()
            if name in target
        }
        inflated = inflate_weights(averaged, target, initialization=self.initialization)
        self.cnn.load_state_dict(inflated)

    def features(self, flow: torch.Tensor) -> torch.Tensor:
        """Pool the last maps over space and time: (B, 2, T, H, W) -> (B, D)."""
        check_clip(flow, min_frames=self.min_frames, channels=2)
        pooled: torch.Tensor = self.cnn(flow)  # (B, D)
        return pooled

    def forward(self, flow: torch.Tensor) -> torch.Tensor:
        """Classify flow (B, 2, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(flow)))  # (B, K)
        return logits


class TwoStreamInflated(nn.Module):
    """An inflated CNN on frames and one on flow, their probabilities averaged.

    Args:
        num_classes: K.
        num_frames: T of the clips, checked against the temporal strides.
        image_size: height and width of the crops; only backbones bound to one size use it.
        backbone: 2D CNN of timm; each stream has one of its own.
        pretrained: inflate timm's published weights (needs them cached, or the network).
        initialization: repeat or centre.
        temporal_kernels: see `videoclf.models.inflation.inflate`.
        temporal_strides: likewise.
        time_padding: zeros or replicate.
        dropout: before the classifier.

    Raises:
        ValueError: a backbone that does not exist or cannot be inflated, too few frames.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        backbone: str,
        pretrained: bool,
        initialization: str,
        temporal_kernels: Mapping[str, int],
        temporal_strides: Mapping[str, Count],
        time_padding: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.min_frames = _min_frames(num_frames, temporal_strides)

        def stream(channels: int) -> nn.Module:
            return inflate(
                create_backbone(
                    backbone, pretrained=pretrained, image_size=image_size, channels=channels
                ),
                temporal_kernels=temporal_kernels,
                temporal_strides=temporal_strides,
                initialization=initialization,
                time_padding=time_padding,
            )

        self.spatial = stream(3)
        self.temporal = stream(2)
        self.dropout = nn.Dropout(dropout)
        width = int(self.spatial.num_features)  # type: ignore[arg-type]
        self.classifier = nn.Linear(2 * width, num_classes)

    def features(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """Encode frames (B, 3, T, H, W) and flow (B, 2, T, H, W) -> both features (B, 2 D)."""
        check_clip(rgb, min_frames=self.min_frames)
        check_clip(flow, min_frames=self.min_frames, channels=2)
        return torch.cat([self.spatial(rgb), self.temporal(flow)], dim=1)  # (B, 2 D)

    def forward(self, rgb: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """Classify frames (B, 3, T, H, W) with flow (B, 2, T, H, W) -> logits (B, K)."""
        return average_of_streams(self.dropout(self.features(rgb, flow)), self.classifier)


def _min_frames(num_frames: int, temporal_strides: Mapping[str, int]) -> int:
    """Return how many frames the strides need.

    Raises:
        ValueError: the clips have fewer.
    """
    least = math.prod(temporal_strides.values())
    check_num_frames(
        num_frames,
        min_frames=least,
        reason=f"model.temporal_strides={dict(temporal_strides)} shrink time by {least}",
    )
    return least
