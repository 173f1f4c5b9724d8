"""Weights of torchvision's video networks under our names.

A model's key map is a list of regular expressions with their replacements, applied in turn to
each of torchvision's names. Classifiers are left out on request: a data set brings its own classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.error import URLError

import torch
from torch import nn
from torchvision.models import get_weight

KeyMap = Sequence[tuple[str, str]]


def rename(name: str, keys: KeyMap) -> str:
    """Translate one of torchvision's names, such as `fc.bias` to `classifier.bias`.

    The expressions of a key map are applied in turn, each to what the last one left.
    """
    for pattern, replacement in keys:
        name = re.sub(pattern, replacement, name)
    return name


def load_renamed(
    model: nn.Module,
    state_dict: Mapping[str, torch.Tensor],
    keys: KeyMap,
    *,
    with_classifier: bool,
) -> None:
    """Load a state dict of torchvision into a model of ours, every entry of both accounted for.

    Args:
        model: with a linear layer `classifier`.
        state_dict: torchvision's.
        keys: torchvision's names -> ours.
        with_classifier: False keeps the model's own.

    Raises:
        ValueError: names or shapes that do not fit.
    """
    weights = {rename(name, keys): value for name, value in state_dict.items()}
    own = model.state_dict()
    for name in ("classifier.weight", "classifier.bias"):
        if not with_classifier:
            weights[name] = own[name]
        elif name in weights:  # a convolution over one position is a linear layer
            weights[name] = weights[name].flatten(1) if name.endswith("weight") else weights[name]
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"the state dict is not that of the torchvision network this {type(model).__name__} "
            f"follows: {error}; for other classes load it with with_classifier=False"
        ) from error


def published_weights(name: str) -> Mapping[str, torch.Tensor]:
    """Return weights that torchvision publishes, such as `R3D_18_Weights.KINETICS400_V1`.

    Raises:
        ValueError: torchvision has no such weights, or they are not in torch hub's cache and cannot
            be fetched.
    """
    try:
        found = get_weight(name)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"model.pretrained={name} names no weights of torchvision; "
            "some that do: Swin3D_T_Weights.KINETICS400_V1"
        ) from error
    try:
        weights: Mapping[str, torch.Tensor] = found.get_state_dict(progress=False, check_hash=True)
    except URLError as error:
        raise ValueError(
            f"model.pretrained needs torchvision's {name}, which cannot be fetched "
            f"({error.reason}); run once where there is a network, or set model.pretrained=false, "
            "null where it takes a name"
        ) from error
    return weights
