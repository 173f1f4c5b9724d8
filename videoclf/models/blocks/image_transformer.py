"""The published weights of timm's vision transformers, for those that start from images."""

from __future__ import annotations

import difflib

import timm
import torch
from torch import nn


def image_weights(name: str) -> dict[str, torch.Tensor]:
    """Return the weights of a ViT of timm (cached, or from the network).

    Raises:
        ValueError: timm has no such network.
    """
    if not timm.is_model(name):
        close = difflib.get_close_matches(name.split(".")[0], timm.list_models("vit*"), n=5)
        raise ValueError(
            f"model.pretrained={name!r} is no model of timm {timm.__version__}; "
            f"some that are: {', '.join(close or ('vit_base_patch16_224',))}"
        )
    network: nn.Module = timm.create_model(name, pretrained=True)
    return network.state_dict()
