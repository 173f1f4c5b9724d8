"""MViT, version 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.positions import resize_in_line, resize_in_space
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.models.mvit import TORCHVISION_KEYS, MViT
from videoclf.weights.key_maps import Fit, Translate, Weights


def torchvision(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of mvit_v1_b or mvit_v2_s."""
    return under_our_names(weights, TORCHVISION_KEYS)


def fit_places(
    found: torch.Tensor,
    own: torch.Tensor,  # noqa: ARG001
    model: nn.Module,
) -> torch.Tensor:
    """Interpolate positions of patches, (N, D), for another crop."""
    assert isinstance(model, MViT)
    return resize_in_space(found[None], model.grid[1:])[0]


def fit_line(found: torch.Tensor, own: torch.Tensor, model: nn.Module) -> torch.Tensor:  # noqa: ARG001
    """Interpolate positions in time or relative ones, (L, D), for another number of them."""
    return resize_in_line(found[None], len(own))[0]


LAYOUTS: Mapping[str, Translate] = {"torchvision": torchvision}
FITS: Sequence[Fit] = (
    (r"^pos_embed$", fit_places),
    (r"^time_embed$|\.rel_pos_", fit_line),
)
