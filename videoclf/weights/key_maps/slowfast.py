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


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:
    """Of ResNet3dSlowFast; its head reads the fast pathway first.

    Raises:
        CheckpointError: its lateral connections have no norm, and so no ReLU, which no name tells
            but the norm's, and the model has not the channels to do without.
    """
    found = under_our_names(weights, MMACTION_KEYS)
    fast = found.get("fast_stages.3.blocks.0.bn3.weight")
    if fast is not None and HEAD[0] in found:
        found[HEAD[0]] = found[HEAD[0]].roll(-len(fast), dims=1)  # fast, slow -> slow, fast
    lateral = found.get("laterals.0.conv.weight")
    if lateral is None or "laterals.0.norm.weight" in found:
        return found
    if len(model.state_dict()["laterals.0.conv.weight"]) != 2 * len(lateral):
        raise CheckpointError(
            "these are the weights of an MMAction2 SlowFast whose lateral connections have neither "
            "norm nor ReLU (lateral_norm=False); set model.lateral_ratio to twice its own, 4 for "
            "the published ones, so that they fit as x = ReLU(x) - ReLU(-x)"
        )
    return without_relu(found)


def without_relu(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Express plain lateral connections by those with norm and ReLU, of twice the channels.

    The convolution gives x and -x, the norm changes neither, and what reads ReLU(x) and ReLU(-x)
    weighs them by A and -A, which is A x: the same function.
    """
    made = dict(found)
    for i in range(4):
        name = f"laterals.{i}"
        kernel = found[f"{name}.conv.weight"]  # (C, C_fast, k, 1, 1)
        made[f"{name}.conv.weight"] = torch.cat([kernel, -kernel])
        ones = kernel.new_ones(2 * len(kernel))
        made[f"{name}.norm.weight"] = ones * (1 + 1e-5) ** 0.5  # of batch norm's epsilon
        made[f"{name}.norm.running_var"] = ones
        made[f"{name}.norm.bias"] = made[f"{name}.norm.running_mean"] = torch.zeros_like(ones)
        for reader in ("conv1", "downsample.0"):
            place = f"slow_stages.{i}.blocks.0.{reader}.weight"
            slow, lateral = found[place].tensor_split([-len(kernel)], dim=1)
            made[place] = torch.cat([slow, lateral, -lateral], dim=1)
    return made


LAYOUTS: Mapping[str, Translate] = {
    "pytorchvideo": pytorchvideo,
    "pyslowfast": pyslowfast,
    "mmaction": mmaction,
}
FITS: Sequence[Fit] = ()
