"""SlowFast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.errors import CheckpointError
from videoclf.init_from import HEAD
from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.weights.key_maps import Fit, Translate, Weights
from videoclf.weights.key_maps.resnet_3d import (
    MMACTION_BLOCK,
    PYSLOWFAST_BLOCK,
    PYTORCHVIDEO_BLOCK,
)

_PATHWAYS = ("slow", "fast")
PYTORCHVIDEO_KEYS: KeyMap = (
    *(
        (rf"^blocks\.{stage}\.multipathway_fusion\.conv_fast_to_slow\.", f"laterals.{stage}.conv.")
        for stage in range(4)
    ),
    *(
        (rf"^blocks\.{stage}\.multipathway_fusion\.norm\.", f"laterals.{stage}.norm.")
        for stage in range(4)
    ),
    *(
        rule
        for number, name in enumerate(_PATHWAYS)
        for rule in (
            (rf"^blocks\.0\.multipathway_blocks\.{number}\.conv\.", f"{name}_stem.conv1."),
            (rf"^blocks\.0\.multipathway_blocks\.{number}\.norm\.", f"{name}_stem.bn1."),
            *(
                (rf"^blocks\.{i + 1}\.multipathway_blocks\.{number}\.", f"{name}_stages.{i}.")
                for i in range(4)
            ),
        )
    ),
    *PYTORCHVIDEO_BLOCK,
    (r"^blocks\.6\.proj\.", "classifier."),
)
PYSLOWFAST_KEYS: KeyMap = (
    *((rf"^s{i + 1}_fuse\.conv_f2s\.", f"laterals.{i}.conv.") for i in range(4)),
    *((rf"^s{i + 1}_fuse\.bn\.", f"laterals.{i}.norm.") for i in range(4)),
    *(
        rule
        for number, name in enumerate(_PATHWAYS)
        for rule in (
            (rf"^s1\.pathway{number}_stem\.conv\.", f"{name}_stem.conv1."),
            (rf"^s1\.pathway{number}_stem\.bn\.", f"{name}_stem.bn1."),
            *(
                rule
                for i in range(4)
                for rule in (
                    (rf"^s{i + 2}\.pathway{number}_res(\d+)\.", rf"{name}_stages.{i}.blocks.\1."),
                    (
                        rf"^s{i + 2}\.pathway{number}_nonlocal(\d+)\.",
                        rf"{name}_stages.{i}.non_local.\1.",
                    ),
                )
            ),
        )
    ),
    *PYSLOWFAST_BLOCK,
    (r"^head\.projection\.", "classifier."),
)
MMACTION_KEYS: KeyMap = (
    (r"^backbone\.slow_path\.conv1_lateral\.", "laterals.0."),
    *((rf"^backbone\.slow_path\.layer{i}_lateral\.", f"laterals.{i}.") for i in range(1, 4)),
    (r"^(laterals\.\d)\.bn\.", r"\1.norm."),
    (r"^backbone\.(slow|fast)_path\.conv1\.", r"\1_stem.conv1."),
    *(
        (rf"^backbone\.(slow|fast)_path\.layer{i}\.(\d+)\.", rf"\1_stages.{i - 1}.blocks.\2.")
        for i in range(1, 5)
    ),
    *MMACTION_BLOCK,
    (r"^cls_head\.fc_cls\.", "classifier."),
)


def pytorchvideo(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of slowfast_r50, slowfast_r101 and their like."""
    return under_our_names(weights, PYTORCHVIDEO_KEYS)


def pyslowfast(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of its SlowFast."""
    return under_our_names(weights, PYSLOWFAST_KEYS)


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of ResNet3dSlowFast with norms in its lateral connections; its head reads the fast one first.

    Raises:
        CheckpointError: the lateral connections have no norm, and so no ReLU, which no name tells
            but the norm's.
    """
    name = "backbone.slow_path.conv1_lateral"
    if f"{name}.conv.weight" in weights and f"{name}.bn.weight" not in weights:
        raise CheckpointError(
            "these are the weights of an MMAction2 SlowFast whose lateral connections have neither "
            "norm nor ReLU (lateral_norm=False), which SlowFast here has; take one with norms "
            "(mmaction:slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb) or PyTorchVideo's "
            "(pytorchvideo:slowfast_4x16_r50)"
        )
    found = under_our_names(weights, MMACTION_KEYS)
    fast = found.get("fast_stages.3.blocks.0.bn3.weight")
    if fast is not None and HEAD[0] in found:
        found[HEAD[0]] = found[HEAD[0]].roll(-len(fast), dims=1)  # fast, slow -> slow, fast
    return found


LAYOUTS: Mapping[str, Translate] = {
    "pytorchvideo": pytorchvideo,
    "pyslowfast": pyslowfast,
    "mmaction": mmaction,
}
FITS: Sequence[Fit] = ()
