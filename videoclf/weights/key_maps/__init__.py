"""The peers' names of tensors under ours: a file a family of models, and the table of families.

A family's file has

    LAYOUTS   layout -> function (weights by the peer's names, the model) -> weights by our names
    FITS      (pattern, function)s for tensors whose shape may differ, see `Fit`; may be empty

A function renames, joins and reorders; it adapts no shapes to the model's, and drops nothing but by
`without`, which says why. What it leaves under a name that the model has not is reported by
`videoclf.weights.matching`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

Weights = Mapping[str, torch.Tensor]
Translate = Callable[[Weights, nn.Module], dict[str, torch.Tensor]]
#: (pattern of our names, function of the found tensor, the model's own tensor and the model). The
#: function returns the found one in the own one's shape, or None where no rule explains the change.
Fit = tuple[str, Callable[[torch.Tensor, torch.Tensor, nn.Module], torch.Tensor | None]]

#: The class of a model -> the file of its family here.
FAMILIES = {
    "C3D": "c3d",
    "ResNet3D": "resnet_3d",
    "FactoredResNet3D": "factored_resnet",
    "SlowFast": "slowfast",
    "X3D": "x3d",
    "VideoResNet": "video_resnet",
    "S3D": "s3d",
    "MViT": "mvit",
    "VideoSwin": "swin",
    "TimeSformer": "timesformer",
    "ViViT": "vivit",
    "VideoMAE": "videomae",
    "VJEPA2": "vjepa2",
}


def layouts_of(model: nn.Module) -> Mapping[str, Translate]:
    """Return the layouts that a model's family can read, by name."""
    family = FAMILIES.get(type(model).__name__)
    if family is None:
        return {}
    module = importlib.import_module(f"{__name__}.{family}")
    layouts: Mapping[str, Translate] = module.LAYOUTS
    return layouts


def fits_of(model: nn.Module) -> Sequence[Fit]:
    """Return a family's rules for tensors of another shape."""
    family = FAMILIES.get(type(model).__name__)
    if family is None:
        return ()
    fits: Sequence[Fit] = importlib.import_module(f"{__name__}.{family}").FITS
    return fits


def without(weights: Weights, pattern: str) -> dict[str, torch.Tensor]:
    """Leave out what follows from other settings, such as tables of indices; say why beside it."""
    return {name: value for name, value in weights.items() if not re.search(pattern, name)}
