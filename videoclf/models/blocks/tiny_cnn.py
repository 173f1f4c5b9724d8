"""tiny_cnn: four convolutions for pictures of 32 to 64 pixels, registered with timm.

It is the spatial trunk of the temporal ladder, so that networks differ in their fusion of time
alone. Its parts have names that `inflate` knows: layer1, layer2, pool, layer3, layer4.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import create_classifier
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

WIDTHS = (12, 24, 48, 48)
default_cfgs = generate_default_cfgs(
    {
        "tiny_cnn.untrained": {
            "input_size": (3, 32, 32),
            "first_conv": "layer1.0",
            "classifier": "fc",
        }
    }
)


class TinyCNN(nn.Module):
    """3x3 convolutions with batch norm and ReLU, each part but layer3 halving the picture.

    Args:
        num_classes: K; 0 for features alone.
        in_chans: channels of the input.
        global_pool: avg, or an empty string, which keeps the maps.
    """

    def __init__(
        self, num_classes: int = 1000, in_chans: int = 3, global_pool: str = "avg"
    ) -> None:
        super().__init__()
        self.layer1 = _layer(in_chans, WIDTHS[0], stride=2)
        self.layer2 = _layer(WIDTHS[0], WIDTHS[1], stride=2)
        self.pool = nn.MaxPool2d(2)
        self.layer3 = _layer(WIDTHS[1], WIDTHS[2], stride=1)
        self.layer4 = _layer(WIDTHS[2], WIDTHS[3], stride=2)
        self.num_features = WIDTHS[3]
        self.feature_info = [
            {"num_chs": width, "reduction": reduction, "module": f"layer{number}"}
            for number, (width, reduction) in enumerate(zip(WIDTHS, (2, 4, 8, 16), strict=True), 1)
        ]
        self.global_pool, self.fc = create_classifier(
            self.num_features, num_classes, pool_type=global_pool
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode frames (N, C, H, W) -> (N, D), (N, K), or maps (N, D, H/16, W/16)."""
        maps = self.layer4(self.layer3(self.pool(self.layer2(self.layer1(frames)))))
        result: torch.Tensor = self.fc(self.global_pool(maps))
        return result


def _layer(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


@register_model  # type: ignore[untyped-decorator]
def tiny_cnn(pretrained: bool = False, **settings: Any) -> nn.Module:
    """Build a `TinyCNN` as timm builds its models."""
    model: nn.Module = build_model_with_cfg(TinyCNN, "tiny_cnn", pretrained, **settings)
    return model
