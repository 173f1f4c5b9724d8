"""Factored 3D ResNets: CSN, and R(2+1)D with bottlenecks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.weights.key_maps import Fit, Translate, Weights

PYTORCHVIDEO_KEYS: KeyMap = (
    (r"^blocks\.0\.conv\.", "stem.0."),
    (r"^blocks\.0\.norm\.", "stem.1."),
    *((rf"^blocks\.{i}\.res_blocks\.", f"res{i + 1}.") for i in range(1, 5)),
    (r"\.branch1_conv\.", ".shortcut.0."),
    (r"\.branch1_norm\.", ".shortcut.1."),
    (r"\.branch2\.conv_a\.", ".narrow.0."),
    (r"\.branch2\.norm_a\.", ".narrow.1."),
    (r"\.branch2\.conv_b\.conv_t\.", ".factored.0."),  # of R(2+1)D
    (r"\.branch2\.conv_b\.norm\.", ".factored.1."),
    (r"\.branch2\.conv_b\.conv_xy\.", ".factored.3."),
    (r"\.branch2\.conv_b\.", ".factored.0."),  # of CSN
    (r"\.branch2\.norm_b\.", ".middle_norm."),
    (r"\.branch2\.conv_c\.", ".widen."),
    (r"\.branch2\.norm_c\.", ".last_norm."),
    (r"^blocks\.5\.proj\.", "classifier."),
)
#: The middle of MMAction2's bottlenecks: ir-CSN has one convolution, ip-CSN two.
MMACTION_REDUCED: KeyMap = (
    (r"\.conv2\.0\.conv\.", ".factored.0."),
    (r"\.conv2\.0\.bn\.", ".middle_norm."),
)
MMACTION_PRESERVED: KeyMap = (
    (r"\.conv2\.0\.conv\.", ".factored.0."),
    (r"\.conv2\.0\.bn\.", ".factored.1."),
    (r"\.conv2\.1\.conv\.", ".factored.2."),
    (r"\.conv2\.1\.bn\.", ".middle_norm."),
)
MMACTION_KEYS: KeyMap = (
    (r"^backbone\.conv1\.conv\.", "stem.0."),
    (r"^backbone\.conv1\.bn\.", "stem.1."),
    *((rf"^backbone\.layer{i}\.", f"res{i + 1}.") for i in range(1, 5)),
    (r"\.conv1\.conv\.", ".narrow.0."),
    (r"\.conv1\.bn\.", ".narrow.1."),
    (r"\.conv3\.conv\.", ".widen."),
    (r"\.conv3\.bn\.", ".last_norm."),
    (r"\.downsample\.conv\.", ".shortcut.0."),
    (r"\.downsample\.bn\.", ".shortcut.1."),
    (r"^cls_head\.fc_cls\.", "classifier."),
)


def pytorchvideo(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of csn_r101 or r2plus1d_r50."""
    return under_our_names(weights, PYTORCHVIDEO_KEYS)


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of ResNet3dCSN, whose norms have an epsilon of 1e-3 (`model.norm_epsilon`)."""
    preserved = any(".conv2.1." in name for name in weights)
    middle = MMACTION_PRESERVED if preserved else MMACTION_REDUCED
    return under_our_names(weights, (*middle, *MMACTION_KEYS))


LAYOUTS: Mapping[str, Translate] = {"pytorchvideo": pytorchvideo, "mmaction": mmaction}
FITS: Sequence[Fit] = ()
