"""R3D, MC3 and R(2+1)D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.models.video_resnet import TORCHVISION_KEYS, VideoResNet
from videoclf.weights.key_maps import Fit, Translate, Weights


def torchvision(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:
    """Of r3d_18, mc3_18 or r2plus1d_18."""
    assert isinstance(model, VideoResNet)
    return under_our_names(weights, TORCHVISION_KEYS[model.conv])


LAYOUTS: Mapping[str, Translate] = {"torchvision": torchvision}
FITS: Sequence[Fit] = ()
