"""C3D: a VGG-like 3D CNN, 3x3x3 convolutions throughout, fully connected layers on top.

When to use it: as the classical 3D network whose features transfer well; heavy in parameters
(nine tenths of them fully connected), so from scratch on small data rather `c3d_small`.

    x_{l+1} = maxpool(ReLU(W_l * x_l + b_l)),   W_l of 3 x 3 x 3, padding 1
    features = ReLU(W_7 ReLU(W_6 vec(x_L))),    logits = W_8 features + b_8

The first pooling leaves time alone, 1x2x2, so that motion is not averaged away early; the others
are 2x2x2, the last one padded by a pixel in space, so that 16 x 112 x 112 ends as 512 x 1 x 4 x 4.

Source: Tran et al. 2015, "Learning Spatiotemporal Features with 3D Convolutional Networks",
figure 3; `c3d_small` is the network of its first experiments, on UCF-101 from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.fully_connected import fully_connected
from videoclf.models.blocks.initialization import initialize_for_relu
from videoclf.models.blocks.recomputation import run_block
from videoclf.value_types import Count


class C3D(nn.Module):
    """Five stages of 3x3x3 convolutions, each ended by a pooling, then fully connected layers.

    Args:
        num_classes: K.
        num_frames: T of the clips, fixed by the first fully connected layer.
        image_size: height and width of the crops, fixed by the same layer.
        widths: filters of the convolutions of each stage.
        convs_per_stage: convolutions of each stage.
        temporal_pools: frames that each stage's pooling joins; each joins 2 x 2 pixels.
        hidden: widths of the fully connected layers.
        dropout: after each fully connected layer.
        checkpoint_activations: recompute each stage in the backward pass to save memory.

    Raises:
        ValueError: lists whose lengths differ, too few frames for the poolings, or crops too small.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        widths: Sequence[Count],
        convs_per_stage: Sequence[Count],
        temporal_pools: Sequence[int],
        hidden: Sequence[Count],
        dropout: float,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        if not len(widths) == len(convs_per_stage) == len(temporal_pools):
            raise ValueError(
                f"model.widths={list(widths)}, model.convs_per_stage={list(convs_per_stage)} and "
                f"model.temporal_pools={list(temporal_pools)} must have equal length"
            )
        self.num_frames = num_frames
        self.image_size = image_size
        self.checkpoint_activations = checkpoint_activations
        length, edge = remaining_size(num_frames, image_size, temporal_pools)
        stages: list[nn.Module] = []
        channels = 3
        for place, width in enumerate(widths):
            last = place == len(widths) - 1
            pool = (temporal_pools[place], 2, 2)
            stages.append(build_stage(channels, width, convs_per_stage[place], pool, last))
            channels = width
        self.stages = nn.Sequential(*stages)
        inputs = channels * length * edge**2
        self.fully_connected = fully_connected(inputs, hidden, dropout)
        self.dropout = nn.Dropout(dropout)
        initialize_for_relu(self, "fan_in")
        self.classifier = nn.Linear((inputs, *hidden)[-1], num_classes)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> the last hidden layer, fc7 (B, D)."""
        check_clip(rgb, num_frames=self.num_frames, image_size=self.image_size)
        maps = rgb
        for stage in self.stages:
            maps = run_block(stage, maps, checkpointed=self.checkpoint_activations)
        # (B, C, T / 16, H', W')
        features: torch.Tensor = self.fully_connected(maps.flatten(1))  # (B, D)
        return features

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits


def build_stage(
    inputs: int, outputs: int, num_convs: int, pool: tuple[int, int, int], last: bool
) -> nn.Sequential:
    """Stack 3x3x3 convolutions with ReLU and a pooling, padded in space in the last stage."""
    layers: list[nn.Module] = []
    for _ in range(num_convs):
        layers += [nn.Conv3d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*layers, nn.MaxPool3d(pool, padding=(0, 1, 1) if last else 0))


def remaining_size(
    num_frames: int, image_size: int, temporal_pools: Sequence[int]
) -> tuple[int, int]:
    """Return what the poolings leave: frames and the edge of the maps.

    Frames: 16 -> 16 -> 8 -> 4 -> 2 -> 1. Pixels: 112 -> 56 -> 28 -> 14 -> 7 -> (7 + 2) // 2 = 4.

    Raises:
        ValueError: nothing is left.
    """
    shrink = 1
    for pool in temporal_pools:
        shrink *= pool
    check_num_frames(
        num_frames,
        min_frames=shrink,
        reason=f"model.temporal_pools={list(temporal_pools)} shrink time by {shrink}",
    )
    length, edge = num_frames, image_size
    for place, pool in enumerate(temporal_pools):
        length //= pool
        edge = edge // 2 if place < len(temporal_pools) - 1 else edge // 2 + 1
    smallest = 2 ** (len(temporal_pools) - 1)
    if image_size < smallest:
        raise ValueError(
            f"crops of {image_size} pixels are too small for {len(temporal_pools)} poolings; "
            f"raise transform.crop_pixels to {smallest}"
        )
    return length, edge
