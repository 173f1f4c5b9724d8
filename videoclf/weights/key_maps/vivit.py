"""ViViT, model 1 (joint attention)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import nn

from videoclf.models.blocks.positions import resize_in_line, resize_in_space
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.models.vivit import TRANSFORMERS_KEYS, ViViT
from videoclf.weights.key_maps import Fit, Translate, Weights, without


def transformers(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of VivitForVideoClassification; the pooler of VivitModel is no part of a classifier."""
    found = under_our_names(without(weights, r"\.pooler\."), TRANSFORMERS_KEYS)
    if "pos_embed" in found:  # (1, 1 + N, D)
        found["cls_pos_embed"] = found["pos_embed"][:, :1]
        found["pos_embed"] = found["pos_embed"][:, 1:]
    return found


def fit_grid(found: torch.Tensor, own: torch.Tensor, model: nn.Module) -> torch.Tensor | None:
    """Interpolate positions (1, T N, D) for other frames, or for another crop.

    The grid that they were learned for is told by their number, where either the steps in time or
    the places of a step are the model's; where both differ there is no telling.
    """
    assert isinstance(model, ViViT)
    steps = 1 if model.factorisation == "factorised_encoder" else model.num_steps
    places, count = own.shape[1] // steps, found.shape[1]
    side = round((count / steps) ** 0.5)
    if count % places == 0:
        learned = count // places
    elif side * side * steps == count:
        learned = steps
    else:
        return None
    grid = round(places**0.5)
    by_step = rearrange(found, "1 (t n) d -> t n d", t=learned)
    placed = torch.cat([resize_in_space(step[None], (grid, grid)) for step in by_step])
    over_time = resize_in_line(rearrange(placed, "t n d -> n t d"), steps)  # (N, T, D)
    fitted: torch.Tensor = rearrange(over_time, "n t d -> 1 (t n) d")
    return fitted


def fit_time(found: torch.Tensor, own: torch.Tensor, model: nn.Module) -> torch.Tensor:  # noqa: ARG001
    """Interpolate positions (1, T, D) of the encoder over time (model 2)."""
    return resize_in_line(found, own.shape[1])


LAYOUTS: Mapping[str, Translate] = {"transformers": transformers}
FITS: Sequence[Fit] = ((r"^pos_embed$", fit_grid), (r"^time_embed$", fit_time))
