"""Tensors under our names against a model: fitted by name, or named.

What may differ in shape is adapted by rules: positions by the family's (`key_maps`), the first
convolution's input channels here. The class head is `videoclf.weights.heads`' affair. Everything
else that is missing, left over or of another shape is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from videoclf.init_from import HEAD, differences
from videoclf.weights.key_maps import Weights, fits_of

#: Which peers count the batches of a norm, and some do not; nothing that we compute uses it.
COUNTERS = "num_batches_tracked"


@dataclass(frozen=True)
class Matched:
    """What fits a model, how it was made to fit, and what does not.

    Args:
        tensors: by our names, in the model's shapes, without the class head.
        adapted: a clause for each tensor whose shape was changed.
        unmatched: clauses; empty where every tensor has its counterpart.
    """

    tensors: Mapping[str, torch.Tensor]
    adapted: tuple[str, ...]
    unmatched: tuple[str, ...]


def match(found: Weights, model: nn.Module) -> Matched:
    """Hold tensors under our names against a model's, all but the class head.

    Args:
        found: by our names.
        model: whose tensors are wanted; it stays as it is.
    """
    own = {k: v for k, v in model.state_dict().items() if k not in HEAD}
    found = {k: v for k, v in found.items() if k not in HEAD}
    for name in own:
        if name.endswith(COUNTERS) and name not in found:
            found[name] = own[name]
    fitted, adapted = dict(found), []
    first = first_convolution(model)
    for name, value in found.items():
        if name not in own or value.shape == own[name].shape:
            continue
        fit = fit_shape(name, value, own[name], model)
        if fit is None and name == first:
            fit = fit_channels(value, own[name])
        if fit is not None and fit.shape == own[name].shape:
            fitted[name] = fit
            adapted.append(f"{name} {_shape(value)} -> {_shape(fit)}")
    tensors = {k: v for k, v in fitted.items() if k in own and v.shape == own[k].shape}
    return Matched(tensors, tuple(adapted), tuple(differences(fitted, own)))


def fit_shape(
    name: str, value: torch.Tensor, own: torch.Tensor, model: nn.Module
) -> torch.Tensor | None:
    """Adapt a tensor by the first of its family's rules that is for its name."""
    for pattern, rule in fits_of(model):
        if re.search(pattern, name):
            return rule(value, own, model)
    return None


def first_convolution(model: nn.Module) -> str | None:
    """Return the name of the filters that see the pixels."""
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            return f"{name}.weight".lstrip(".")
    return None


def fit_channels(value: torch.Tensor, own: torch.Tensor) -> torch.Tensor | None:
    """Adapt filters (O, C, ...) to another number of input channels.

    The mean over the channels is repeated, scaled so that an input whose channels are all alike
    gives the same response (Wang et al. 2016, TSN, section 3.2, for flow).
    """
    same_but_channels = value.shape[:1] + value.shape[2:] == own.shape[:1] + own.shape[2:]
    if value.ndim != own.ndim or not same_but_channels:
        return None
    mean = value.mean(1, keepdim=True) * (value.shape[1] / own.shape[1])
    return mean.expand_as(own).contiguous()


def turn_colours(found: Weights, model: nn.Module) -> dict[str, torch.Tensor]:
    """Make filters that read blue, green, red read red, green, blue."""
    first = first_convolution(model)
    return {
        name: value.flip(1) if name == first and value.shape[1] == 3 else value
        for name, value in found.items()
    }


def _shape(value: torch.Tensor) -> str:
    return " x ".join(map(str, value.shape))
