"""S3D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.models.s3d import TORCHVISION_KEYS
from videoclf.weights.key_maps import Fit, Translate, Weights


def torchvision(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of s3d."""
    return under_our_names(weights, TORCHVISION_KEYS)


LAYOUTS: Mapping[str, Translate] = {"torchvision": torchvision}
FITS: Sequence[Fit] = ()
