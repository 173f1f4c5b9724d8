"""Weights of the package transformers under our names.

A model's key map is a list of regular expressions with their replacements, as for torchvision's
weights. Where transformers keeps queries, keys and values in three layers, the map names them
`qkv[0]`, `qkv[1]` and `qkv[2]`, and they become the one layer `qkv` of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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

    Raises:
        ValueError: two of its names become one of ours.
    """
    whole: dict[str, torch.Tensor] = {}
    parts: dict[str, dict[int, torch.Tensor]] = {}
    for theirs, value in state_dict.items():
        name = rename(theirs, keys)
        part = _PART.search(name)
        taken = parts.setdefault(_PART.sub("", name), {}) if part else whole
        key: Any = int(part.group(1)) if part else name
        if key in taken:
            raise ValueError(f"{theirs} and another tensor both become {name}; mend the key map")
        taken[key] = value
    joined = {name: torch.cat([by[n] for n in sorted(by)]) for name, by in parts.items()}
    return {**whole, **joined}
