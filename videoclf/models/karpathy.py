"""Sports-1M fusion networks: an AlexNet whose convolutions reach over parts of the clip.

When to use it: to repeat the first comparison of slow, early and late fusion, or as a plain
network without batch norm; newer networks learn faster and reach further.

Each convolution has a temporal extent k_l and a temporal stride s_l, without temporal padding;
the first fully connected layer sees what time is left, T_L:

    x_{l+1} = ReLU(W_l * x_l + b_l),   W_l of k_l x h x w,   T_{l+1} = (T_l - k_l) / s_l + 1
    slow   k = 4,2,2,1,1  s = 2,2,2,1,1 over 10 frames: T_l = 10, 4, 2, 1, 1, 1
    early  k = T,1,1,1,1: the first convolution spans the clip
    late   k = 1,1,1,1,1 on two frames 15 apart: both towers share their filters and first meet
           in the fully connected layer

    C(96,11,3)-N-P-C(256,5,1)-N-P-C(384,3,1)-C(384,3,1)-C(256,3,1)-P-FC(4096)-FC(4096)

with C(filters, size, stride), N a normalisation over 5 neighbouring channels, P a 2x2 pooling.
The text leaves the padding open: here the first convolution has none, the others keep the size.

Source: Karpathy et al. 2014, "Large-scale Video Classification with Convolutional Neural
Networks", section 3.1 and figure 1; crops of 170 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.fully_connected import fully_connected
from videoclf.models.blocks.initialization import initialize_for_relu
from videoclf.value_types import Count

#: Edge, stride and padding of each convolution's filters in space.
SPATIAL = ((11, 3, 0), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
NORMALISED = (0, 1)  # convolutions that N follows
POOLED = (0, 1, 4)  # convolutions that P follows


class SportsCNN(nn.Module):
    """Five convolutions with temporal extents, then fully connected layers.

    Args:
        num_classes: K.
        num_frames: T of the clips.
        image_size: height and width of the crops, fixed by the first fully connected layer.
        frames: places in the clip of the frames that are looked at; None looks at all.
        temporal_extents: frames that each of the five convolutions sees at once.
        temporal_strides: of each of the five convolutions.
        widths: filters of each of the five convolutions.
        hidden: widths of the fully connected layers.
        dropout: after each fully connected layer.

    Raises:
        ValueError: lists that are not five long, too few frames, frames outside the clip, or
            crops too small.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        frames: Sequence[int] | None,
        temporal_extents: Sequence[int],
        temporal_strides: Sequence[Count],
        widths: Sequence[Count],
        hidden: Sequence[Count],
        dropout: float,
    ) -> None:
        super().__init__()
        if not len(temporal_extents) == len(temporal_strides) == len(widths) == len(SPATIAL):
            raise ValueError(
                f"model.temporal_extents={list(temporal_extents)}, "
                f"model.temporal_strides={list(temporal_strides)} and "
                f"model.widths={list(widths)} must each name {len(SPATIAL)} convolutions"
            )
        self.num_frames = num_frames
        self.image_size = image_size
        self.frames = None if frames is None else check_frames(frames, num_frames)
        self.tower = build_tower(temporal_extents, temporal_strides, widths)
        seen = num_frames if frames is None else len(frames)
        length = remaining_frames(seen, temporal_extents, temporal_strides)
        inputs = widths[-1] * length * remaining_pixels(image_size) ** 2
        self.fully_connected = fully_connected(inputs, hidden, dropout)
        self.dropout = nn.Dropout(dropout)
        initialize_for_relu(self, "fan_in")
        self.classifier = nn.Linear((inputs, *hidden)[-1], num_classes)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the last hidden layer (B, D)."""
        check_clip(rgb, num_frames=self.num_frames, image_size=self.image_size)
        looked_at = rgb if self.frames is None else rgb[:, :, self.frames]  # (B, 3, T', H, W)
        maps = self.tower(looked_at)  # (B, C, T_L, H', W')
        features: torch.Tensor = self.fully_connected(maps.flatten(1))  # (B, D)
        return features

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits


def build_tower(
    extents: Sequence[int], strides: Sequence[int], widths: Sequence[int]
) -> nn.Sequential:
    """Stack the five convolutions with their normalisations and poolings."""
    layers: list[nn.Module] = []
    channels = 3
    for place, (edge, stride, padding) in enumerate(SPATIAL):
        layers += [
            nn.Conv3d(
                channels,
                widths[place],
                kernel_size=(extents[place], edge, edge),
                stride=(strides[place], stride, stride),
                padding=(0, padding, padding),
            ),
            nn.ReLU(inplace=True),
        ]
        if place in NORMALISED:
            # the paper's alpha of 1e-4 multiplies a sum over 5 channels, torch's their mean
            layers.append(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.5, k=2.0))
        if place in POOLED:
            layers.append(nn.MaxPool3d((1, 2, 2)))
        channels = widths[place]
    return nn.Sequential(*layers)


def check_frames(frames: Sequence[int], num_frames: int) -> list[int]:
    """Return the places of frames as a list; negative ones count from the clip's end.

    Raises:
        ValueError: none, or one outside the clip.
    """
    outside = [frame for frame in frames if not -num_frames <= frame < num_frames]
    if outside or not frames:
        raise ValueError(
            f"model.frames={list(frames)} must be places in a clip of {num_frames} frames, "
            f"from {-num_frames} to {num_frames - 1}; raise sampler.num_frames or change them"
        )
    return list(frames)


def remaining_frames(num_frames: int, extents: Sequence[int], strides: Sequence[int]) -> int:
    """Return T_L, what the convolutions leave of the frames.

    With extents 4,2,2,1,1 and strides 2,2,2,1,1: 10 -> 4 -> 2 -> 1 -> 1 -> 1.

    Raises:
        ValueError: an extent longer than what is left.
    """
    left = num_frames
    for place, (extent, stride) in enumerate(zip(extents, strides, strict=True)):
        if extent > left:
            raise ValueError(
                f"model.temporal_extents={list(extents)}: convolution {place + 1} sees {extent} "
                f"frames at once, and {left} of the {num_frames} are left; raise "
                "sampler.num_frames or lower the extents"
            )
        left = (left - extent) // stride + 1
    return left


def remaining_pixels(image_size: int) -> int:
    """Return the edge of the last maps: 170 -> 54 -> 27 -> 13 -> 6.

    Raises:
        ValueError: nothing is left.
    """
    edge = image_size
    for place, (size, stride, padding) in enumerate(SPATIAL):
        edge = (edge + 2 * padding - size) // stride + 1
        edge = edge // 2 if place in POOLED else edge
    if edge < 1:
        raise ValueError(
            f"crops of {image_size} pixels are too small for three poolings; "
            "raise transform.crop_pixels to 32 (the paper's are 170)"
        )
    return edge
