"""TimeSformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.positions import resize_in_space, resize_in_time
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.models.timesformer import TRANSFORMERS_KEYS
from videoclf.weights.key_maps import Fit, Translate, Weights


def transformers(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of TimesformerForVideoClassification."""
    return under_our_names(weights, TRANSFORMERS_KEYS)


def fit_places(
    found: torch.Tensor,
    own: torch.Tensor,
    model: nn.Module,  # noqa: ARG001
) -> torch.Tensor:
    """Interpolate positions (1, 1 + N, D) for another crop; the class token's stays."""
    side = round((own.shape[1] - 1) ** 0.5)
    return torch.cat([found[:, :1], resize_in_space(found[:, 1:], (side, side))], dim=1)


def fit_time(found: torch.Tensor, own: torch.Tensor, model: nn.Module) -> torch.Tensor:  # noqa: ARG001
    """Interpolate positions (1, T, D) for another number of frames."""
    return resize_in_time(found, own.shape[1])


LAYOUTS: Mapping[str, Translate] = {"transformers": transformers}
FITS: Sequence[Fit] = ((r"^pos_embed$", fit_places), (r"^time_embed$", fit_time))
