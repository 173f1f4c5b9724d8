"""Weights of the package transformers under our names.

A model's key map is a list of regular expressions with their replacements, as for torchvision's
weights. Where transformers keeps queries, keys and values in three layers, the map names them
`qkv[0]`, `qkv[1]` and `qkv[2]`, and they become the one layer `qkv` of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from videoclf.models.blocks.torchvision_weights import KeyMap, rename

_PART = re.compile(r"\[(\d)\]")


def under_our_names(
    state_dict: Mapping[str, torch.Tensor], keys: KeyMap
) -> dict[str, torch.Tensor]:
    """Rename the tensors of a network of transformers, and join those that are one of ours.

    Args:
        state_dict: of the network.
        keys: its names -> ours, applied in turn.
    """
    parts = sorted((rename(name, keys), value) for name, value in state_dict.items())
    joined: dict[str, list[torch.Tensor]] = {}
    for name, value in parts:  # [0], [1], [2] come in this order
        joined.setdefault(_PART.sub("", name), []).append(value)
    return {name: torch.cat(values) for name, values in joined.items()}
