"""X3D."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.torchvision_weights import KeyMap, rename
from videoclf.weights.key_maps import Fit, Translate, Weights

# Ours counts the blocks of all stages in one row. The maps write `stage<S>.<B>.`, S from 0, and
# `in_one_row` counts on.
PYTORCHVIDEO_KEYS: KeyMap = (
    (r"^blocks\.0\.conv\.conv_t\.", "stem.0."),  # of space, whatever it is called
    (r"^blocks\.0\.conv\.conv_xy\.", "stem.1."),  # of time
    (r"^blocks\.0\.norm\.", "stem.2."),
    *((rf"^blocks\.{i + 1}\.res_blocks\.", f"stage{i}.") for i in range(4)),
    (r"\.branch1_conv\.", ".shortcut.0."),
    (r"\.branch1_norm\.", ".shortcut.1."),
    (r"\.branch2\.conv_a\.", ".change.0."),
    (r"\.branch2\.norm_a\.", ".change.1."),
    (r"\.branch2\.conv_b\.", ".change.3."),
    (r"\.branch2\.norm_b\.0\.", ".change.4."),
    (r"\.branch2\.norm_b\.1\.block\.", ".change.5.weigh."),
    (r"\.branch2\.conv_c\.", ".change.7."),
    (r"\.branch2\.norm_c\.", ".last_norm."),
    (r"^blocks\.5\.pool\.pre_conv\.", "widen.0."),
    (r"^blocks\.5\.pool\.pre_norm\.", "widen.1."),
    (r"^blocks\.5\.pool\.post_conv\.", "head.0."),
    (r"^blocks\.5\.proj\.", "classifier."),
)
PYSLOWFAST_KEYS: KeyMap = (
    (r"^s1\.pathway0_stem\.conv_xy\.", "stem.0."),
    (r"^s1\.pathway0_stem\.conv\.", "stem.1."),
    (r"^s1\.pathway0_stem\.bn\.", "stem.2."),
    *((rf"^s{i + 2}\.pathway0_res", f"stage{i}.") for i in range(4)),
    (r"\.branch1\.", ".shortcut.0."),
    (r"\.branch1_bn\.", ".shortcut.1."),
    (r"\.branch2\.a\.", ".change.0."),
    (r"\.branch2\.a_bn\.", ".change.1."),
    (r"\.branch2\.b\.", ".change.3."),
    (r"\.branch2\.b_bn\.", ".change.4."),
    (r"\.branch2\.se\.fc1\.", ".change.5.weigh.0."),
    (r"\.branch2\.se\.fc2\.", ".change.5.weigh.2."),
    (r"\.branch2\.c\.", ".change.7."),
    (r"\.branch2\.c_bn\.", ".last_norm."),
    (r"^head\.conv_5\.", "widen.0."),
    (r"^head\.conv_5_bn\.", "widen.1."),
    (r"^head\.lin_5\.", "head.0."),
    (r"^head\.projection\.", "classifier."),
)
MMACTION_KEYS: KeyMap = (
    (r"^backbone\.conv1_s\.conv\.", "stem.0."),
    (r"^backbone\.conv1_t\.conv\.", "stem.1."),
    (r"^backbone\.conv1_t\.bn\.", "stem.2."),
    *((rf"^backbone\.layer{i + 1}\.", f"stage{i}.") for i in range(4)),
    (r"\.downsample\.conv\.", ".shortcut.0."),
    (r"\.downsample\.bn\.", ".shortcut.1."),
    (r"(stage\d\.\d+)\.conv1\.conv\.", r"\1.change.0."),
    (r"(stage\d\.\d+)\.conv1\.bn\.", r"\1.change.1."),
    (r"(stage\d\.\d+)\.conv2\.conv\.", r"\1.change.3."),
    (r"(stage\d\.\d+)\.conv2\.bn\.", r"\1.change.4."),
    (r"\.se_module\.fc1\.", ".change.5.weigh.0."),
    (r"\.se_module\.fc2\.", ".change.5.weigh.2."),
    (r"(stage\d\.\d+)\.conv3\.conv\.", r"\1.change.7."),
    (r"(stage\d\.\d+)\.conv3\.bn\.", r"\1.last_norm."),
    (r"^backbone\.conv5\.conv\.", "widen.0."),
    (r"^backbone\.conv5\.bn\.", "widen.1."),
    (r"^cls_head\.fc1\.", "head.0."),
    (r"^cls_head\.fc2\.", "classifier."),
)
_BLOCK = re.compile(r"^stage(\d)\.(\d+)\.")


def translate(weights: Weights, keys: KeyMap, model: nn.Module) -> dict[str, torch.Tensor]:
    """Rename, count all blocks in one row, and fold the norm of a shortcut where ours has none."""
    found = in_one_row({rename(name, keys): value for name, value in weights.items()})
    if "head.0.weight" in found:  # a convolution over one position is a linear layer
        found["head.0.weight"] = found["head.0.weight"].flatten(1)
    return fold_first_shortcut(found, model)


def in_one_row(found: Weights) -> dict[str, torch.Tensor]:
    """Count blocks on from stage to stage: stage1.0 is blocks.3 where stage 0 has three."""
    places = sorted({(int(m[1]), int(m[2])) for m in map(_BLOCK.match, found) if m})
    row = {place: number for number, place in enumerate(places)}

    def renamed(name: str) -> str:
        return _BLOCK.sub(lambda m: f"blocks.{row[int(m[1]), int(m[2])]}.", name)

    return {renamed(name): value for name, value in found.items()}


def fold_first_shortcut(
    found: dict[str, torch.Tensor], model: nn.Module
) -> dict[str, torch.Tensor]:
    """Fold a norm behind the first block's shortcut into what is around it.

    PySlowFast and MMAction2 normalise that shortcut; PyTorchVideo and the model here do so only
    where the width changes. In evaluation the norm is a scale and a shift of each channel: the
    shortcut's filters take the scale, and the norm beside it, whose sum is what counts, the shift.
    """
    norm, beside = "blocks.0.shortcut.1", "blocks.0.last_norm.bias"
    needed = {f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")}
    if f"{norm}.weight" in model.state_dict() or not needed | {beside} <= set(found):
        return found
    scale = found[f"{norm}.weight"] * (found[f"{norm}.running_var"] + 1e-5).rsqrt()
    shift = found[f"{norm}.bias"] - found[f"{norm}.running_mean"] * scale
    kept = {name: value for name, value in found.items() if not name.startswith(f"{norm}.")}
    filters = "blocks.0.shortcut.0.weight"
    kept[filters] = found[filters] * scale[:, None, None, None, None]
    kept[beside] = found[beside] + shift
    return kept


def pytorchvideo(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:
    """Of x3d_xs to x3d_l."""
    return translate(weights, PYTORCHVIDEO_KEYS, model)


def pyslowfast(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:
    """Of its X3D, without a norm above the pool (X3D.BN_LIN5)."""
    return translate(weights, PYSLOWFAST_KEYS, model)


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:
    """Of its X3D and X3DHead."""
    return translate(weights, MMACTION_KEYS, model)


LAYOUTS: Mapping[str, Translate] = {
    "pytorchvideo": pytorchvideo,
    "pyslowfast": pyslowfast,
    "mmaction": mmaction,
}
FITS: Sequence[Fit] = ()
