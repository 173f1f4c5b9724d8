"""C3D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.weights.key_maps import Fit, Translate, Weights

#: Stages are numbered from 1, their convolutions a and b; ours count ReLUs too.
MMACTION_KEYS: KeyMap = (
    *((rf"^backbone\.conv{i}a\.conv\.", f"stages.{i - 1}.0.") for i in range(1, 6)),
    *((rf"^backbone\.conv{i}b\.conv\.", f"stages.{i - 1}.2.") for i in range(3, 6)),
    (r"^backbone\.fc6\.", "fully_connected.0."),
    (r"^backbone\.fc7\.", "fully_connected.3."),
    (r"^cls_head\.fc_cls\.", "classifier."),
)


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of C3D with I3DHead."""
    return under_our_names(weights, MMACTION_KEYS)


LAYOUTS: Mapping[str, Translate] = {"mmaction": mmaction}
FITS: Sequence[Fit] = ()
