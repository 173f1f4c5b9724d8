"""S3D: an Inception network whose 3D convolutions are split into space and time.

When to use it: for long clips, at two thirds of I3D's parameters and operations; it halves time
three times, so that clips below 16 frames leave its upper layers a single step.

Each k x k x k convolution of the inflated Inception network becomes two:

    y = ReLU(BN(W_t * ReLU(BN(W_s * x)))),   W_s of 1 x k x k,  W_t of k x 1 x 1

Source: Xie et al. 2018, "Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in
Video Classification", section 4 (without gating); the branches are those of Szegedy et al. 2015,
"Going Deeper with Convolutions", table 1. torchvision's weights load by `TORCHVISION_KEYS`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.initialization import initialize_for_relu
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.torchvision_weights import KeyMap, load_renamed, published_weights

MIN_FRAMES = 8  # three times halved
MIN_PIXELS = 32  # five times halved

#: Channels of each block's branches: 1x1; 1x1 then 3x3; 1x1 then 3x3 (once 5x5); pooling then 1x1.
BRANCHES: Mapping[str, tuple[int, int, int, int, int, int]] = {
    "mixed3b": (64, 96, 128, 16, 32, 32),
    "mixed3c": (128, 128, 192, 32, 96, 64),
    "mixed4b": (192, 96, 208, 16, 48, 64),
    "mixed4c": (160, 112, 224, 24, 64, 64),
    "mixed4d": (128, 128, 256, 24, 64, 64),
    "mixed4e": (112, 144, 288, 32, 64, 64),
    "mixed4f": (256, 160, 320, 32, 128, 128),
    "mixed5b": (256, 160, 320, 32, 128, 128),
    "mixed5c": (384, 192, 384, 48, 128, 128),
}
#: Layers in order, under our names; torchvision counts them.
LAYERS = (
    *("conv1", "pool1", "conv2", "conv3", "pool2", "mixed3b", "mixed3c", "pool3"),
    *("mixed4b", "mixed4c", "mixed4d", "mixed4e", "mixed4f", "pool4", "mixed5b", "mixed5c"),
)
#: torchvision's names -> ours.
TORCHVISION_KEYS: KeyMap = (
    (r"^classifier\.1\.", "classifier."),
    *((rf"^features\.{place}\.", f"layers.{name}.") for place, name in enumerate(LAYERS)),
    (r"\.branch([12])\.0\.", r".branch\1.reduce."),
    (r"\.branch([12])\.1\.", r".branch\1.separable."),
    (r"\.branch3\.1\.", ".branch3.project."),
    (r"\.(conv1|conv3|separable)\.0\.", r".\1.spatial."),
    (r"\.(conv1|conv3|separable)\.1\.", r".\1.temporal."),
    (r"\.0\.(\w+)$", r".conv.\1"),
    (r"\.1\.(\w+)$", r".norm.\1"),
)
PUBLISHED = "S3D_Weights.KINETICS400_V1"


def convolution(
    inputs: int,
    outputs: int,
    kernel: tuple[int, int, int] = (1, 1, 1),
    stride: tuple[int, int, int] = (1, 1, 1),
) -> nn.Sequential:
    """Convolution that keeps the size at stride 1, batch norm as slow as in the paper, ReLU."""
    frames, height, width = kernel
    padding = (frames // 2, height // 2, width // 2)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False),
            norm=nn.BatchNorm3d(outputs, eps=1e-3, momentum=1e-3),
            relu=nn.ReLU(inplace=True),
        )
    )


def separable(inputs: int, outputs: int, edge: int, stride: int = 1) -> nn.Sequential:
    """1 x k x k, then k x 1 x 1, each with batch norm and ReLU; both halve at stride 2."""
    return nn.Sequential(
        OrderedDict(
            spatial=convolution(inputs, outputs, (1, edge, edge), (1, stride, stride)),
            temporal=convolution(outputs, outputs, (edge, 1, 1), (stride, 1, 1)),
        )
    )


class InceptionBlock(nn.Module):
    """Four branches side by side, their channels concatenated.

    Args:
        inputs: channels that come in.
        widths: of the branches, as in `BRANCHES`.
    """

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        point, reduce_1, separable_1, reduce_2, separable_2, project = widths
        self.branch0 = convolution(inputs, point)
        self.branch1 = nn.Sequential(
            OrderedDict(
                reduce=convolution(inputs, reduce_1), separable=separable(reduce_1, separable_1, 3)
            )
        )
        self.branch2 = nn.Sequential(
            OrderedDict(
                reduce=convolution(inputs, reduce_2), separable=separable(reduce_2, separable_2, 3)
            )
        )
        self.branch3 = nn.Sequential(
            OrderedDict(
                pool=nn.MaxPool3d(3, stride=1, padding=1), project=convolution(inputs, project)
            )
        )
        self.outputs = point + separable_1 + separable_2 + project

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Transform maps (B, C, T, H, W) -> (B, C', T, H, W)."""
        branches = (self.branch0, self.branch1, self.branch2, self.branch3)
        return torch.cat([branch(maps) for branch in branches], dim=1)


class S3D(nn.Module):
    """Separable Inception: a stem, nine blocks of four branches, a sliding average, a classifier.

    Args:
        num_classes: K.
        num_frames: T of the clips, checked against the temporal strides.
        dropout: before the classifier.
        checkpoint_activations: recompute each layer in the backward pass to save memory.
        pretrained: start from torchvision's weights of Kinetics-400, all but the classifier's.

    Raises:
        ValueError: too few frames.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        dropout: float,
        checkpoint_activations: bool,
        pretrained: bool,
    ) -> None:
        super().__init__()
        self.checkpoint_activations = checkpoint_activations
        check_num_frames(
            num_frames, min_frames=MIN_FRAMES, reason=f"S3D shrinks time by {MIN_FRAMES}"
        )
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=separable(3, 64, edge=7, stride=2),
            pool1=nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            conv2=convolution(64, 64),
            conv3=separable(64, 192, edge=3),
            pool2=nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            pool3=nn.MaxPool3d(3, stride=2, padding=1),
            pool4=nn.MaxPool3d(2, stride=2),
        )
        channels = 192
        for name, widths in BRANCHES.items():
            block = InceptionBlock(channels, widths)
            layers[name] = block
            channels = block.outputs
        self.layers = nn.Sequential(OrderedDict((name, layers[name]) for name in LAYERS))
        self.dropout = nn.Dropout(dropout)
        initialize_for_relu(self, "fan_out")
        self.classifier = nn.Linear(channels, num_classes)
        if pretrained:
            self.load_torchvision(published_weights(PUBLISHED), with_classifier=False)

    def load_torchvision(
        self, state_dict: Mapping[str, torch.Tensor], *, with_classifier: bool = True
    ) -> None:
        """Load the weights of torchvision's s3d.

        Raises:
            ValueError: names or shapes that do not fit.
        """
        load_renamed(self, state_dict, TORCHVISION_KEYS, with_classifier=with_classifier)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> features averaged over time and space (B, 1024)."""
        check_clip(rgb, min_frames=MIN_FRAMES, min_pixels=MIN_PIXELS)
        maps = rgb
        for layer in self.layers:
            maps = run_block(layer, maps, checkpointed=self.checkpoint_activations)
        # (B, 1024, T / 8, H / 32, W / 32)
        # windows of 2 x 7 x 7 at stride 1 before the mean, as published: larger maps count the
        # middle more; smaller ones are one window
        frames, height, width = maps.shape[2:]
        window = (min(2, frames), min(7, height), min(7, width))
        features: torch.Tensor = F.avg_pool3d(maps, window, stride=1).mean(dim=(2, 3, 4))
        return features

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits
