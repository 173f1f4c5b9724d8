"""Late fusion by pooling: a 2D CNN on each frame, its features pooled over space and time.

When to use it: as the strong and cheap baseline for what a scene shows, on clips of any length;
the order of the frames is lost, but for `pooling=conv`.

    f_t = mean_{h,w} CNN(x_t),   logits = W MLP(pool_t f_t) + b

with the pooling over time one of

    average    1/T sum_t f_t
    max        max_t f_t, a channel at a time
    attention  sum_t a_t f_t,   a = softmax_t(w . tanh(V f_t))
    conv       1/T sum_t ReLU(sum_k U_k f_{t+k}), a trainable temporal convolution

Sources: Karpathy et al. 2014 (late fusion); Wang et al. 2016, "Temporal Segment Networks"
(average); Ilse et al. 2018, "Attention-based Deep Multiple Instance Learning", equation 8
(attention); Ng et al. 2015, "Beyond Short Snippets" (max and temporal convolution).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone, feature_shape
from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.fully_connected import fully_connected
from videoclf.value_types import Count


class AveragePooling(nn.Module):
    """The mean over time, (B, T, D) -> (B, D)."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pool (B, T, D) -> (B, D)."""
        return features.mean(dim=1)


class MaxPooling(nn.Module):
    """The largest over time, a channel at a time, (B, T, D) -> (B, D)."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pool (B, T, D) -> (B, D)."""
        return features.amax(dim=1)


class AttentionPooling(nn.Module):
    """A mean over time by learned weights, which see each frame alone.

    Args:
        channels: D.
        width: of the hidden layer that scores a frame.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        # no bias in the last layer: the softmax would not feel it
        self.score = nn.Sequential(
            nn.Linear(channels, width), nn.Tanh(), nn.Linear(width, 1, bias=False)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pool (B, T, D) -> (B, D)."""
        weights = self.score(features).softmax(dim=1)  # (B, T, 1)
        pooled: torch.Tensor = (weights * features).sum(dim=1)  # (B, D)
        return pooled


class ConvolutionPooling(nn.Module):
    """A convolution over time, then the mean.

    Args:
        channels: D.
        kernel: frames that it sees at once, an odd number.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"model.temporal_kernel={kernel} must be odd, such as 3")
        self.convolution = nn.Conv1d(channels, channels, kernel, padding=kernel // 2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pool (B, T, D) -> (B, D)."""
        responses = self.convolution(features.transpose(1, 2)).relu()  # (B, D, T)
        pooled: torch.Tensor = responses.mean(dim=2)  # (B, D)
        return pooled


class LateFusionPool(nn.Module):
    """A 2D CNN on each frame, its features pooled over space and then over time.

    Args:
        num_classes: K.
        image_size: height and width of the crops; only backbones bound to one size use it.
        backbone: any 2D model of timm, such as `resnet50` or `resnet50.a1_in1k`.
        pretrained: load timm's published weights (needs them cached, or the network).
        pooling: average, max, attention or conv.
        attention_width: hidden units that score a frame, for `pooling=attention`.
        temporal_kernel: frames that the convolution sees at once, for `pooling=conv`.
        hidden: widths of an MLP before the classifier; none leaves it linear.
        dropout: between fully connected layers and before the classifier.

    Raises:
        ValueError: an unknown backbone or pooling, or a kernel that is even.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        image_size: int,
        backbone: str,
        pretrained: bool,
        pooling: str,
        attention_width: int,
        temporal_kernel: int,
        hidden: Sequence[Count],
        dropout: float,
    ) -> None:
        super().__init__()
        self.cnn = create_backbone(backbone, pretrained=pretrained, image_size=image_size)
        (channels,) = feature_shape(self.cnn, name=backbone, image_size=image_size)
        poolings: dict[str, Callable[[], nn.Module]] = {
            "average": AveragePooling,
            "max": MaxPooling,
            "attention": lambda: AttentionPooling(channels, attention_width),
            "conv": lambda: ConvolutionPooling(channels, temporal_kernel),
        }
        if pooling not in poolings:
            raise ValueError(f"model.pooling={pooling!r} is none of {', '.join(poolings)}")
        self.pool = poolings[pooling]()
        self.mlp = fully_connected(channels, hidden, dropout)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear((channels, *hidden)[-1], num_classes)

    def encode_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode frames (N, 3, H, W) -> features averaged over space (N, D)."""
        features: torch.Tensor = self.cnn(frames)
        return features

    def fuse(self, features: torch.Tensor) -> torch.Tensor:
        """Fuse the features of a clip's frames (B, T, D) -> logits (B, K)."""
        pooled = self.mlp(self.pool(features))  # (B, D')
        logits: torch.Tensor = self.classifier(self.dropout(pooled))  # (B, K)
        return logits

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> features before the classifier (B, D')."""
        pooled: torch.Tensor = self.mlp(self.pool(self._encode(rgb)))
        return pooled

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        return self.fuse(self._encode(rgb))

    def _encode(self, rgb: torch.Tensor) -> torch.Tensor:
        check_clip(rgb)
        frames = rgb.transpose(1, 2).flatten(0, 1)  # (B * T, 3, H, W)
        features = self.encode_frames(frames)  # (B * T, D)
        return features.reshape(len(rgb), rgb.shape[2], -1)  # (B, T, D)
