"""Video Swin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.models.swin import TORCHVISION_KEYS, VideoSwin
from videoclf.weights.key_maps import Fit, Translate, Weights, without

#: Stages end in a merging there, and begin with it here.
MMACTION_KEYS: KeyMap = (
    (r"^backbone\.", ""),
    (r"^patch_embed\.proj\.", "patch_embed."),
    (r"^patch_embed\.norm\.", "patch_norm."),
    (r"^layers\.(\d)\.blocks\.", r"stages.\1."),
    *((rf"^layers\.{i - 1}\.downsample\.", f"stages.{i}.0.merging.") for i in range(1, 4)),
    (r"^norm3\.", "norm."),
    (r"^cls_head\.fc_cls\.", "classifier."),
)


def torchvision(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of swin3d_t, swin3d_s or swin3d_b; its tables of indices follow from the window."""
    return under_our_names(without(weights, r"\.relative_position_index$"), TORCHVISION_KEYS)


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of SwinTransformer3D with I3DHead; its tables of indices follow from the window."""
    return under_our_names(without(weights, r"\.relative_position_index$"), MMACTION_KEYS)


def fit_window(found: torch.Tensor, own: torch.Tensor, model: nn.Module) -> torch.Tensor | None:
    """Interpolate biases of distances, (L, heads), for another window.

    The window that they were learned for is told by their number, where its sides are as the
    model's but for one kind: as many rows as columns, and the model's frames; or the model's
    rows and columns, and other frames.
    """
    assert isinstance(model, VideoSwin)
    frames, rows, columns = (2 * size - 1 for size in model.window)
    side = round((len(found) / frames) ** 0.5)
    if side * side * frames == len(found):
        learned = (frames, side, side)
    elif len(found) % (rows * columns) == 0:
        learned = (len(found) // (rows * columns), rows, columns)
    else:
        return None
    table = found.T.reshape(1, -1, *learned)  # (1, heads, 2 t - 1, 2 h - 1, 2 w - 1)
    fitted = F.interpolate(table, size=(frames, rows, columns), mode="trilinear")
    return fitted.reshape(own.shape[1], -1).T if fitted.shape[1] == own.shape[1] else None


LAYOUTS: Mapping[str, Translate] = {"torchvision": torchvision, "mmaction": mmaction}
FITS: Sequence[Fit] = ((r"\.relative_position_bias_table$", fit_window),)
