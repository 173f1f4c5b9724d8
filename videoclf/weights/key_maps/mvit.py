"""MViT, version 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.positions import resize_in_line, resize_in_space
from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.models.mvit import TORCHVISION_KEYS, MViT
from videoclf.weights.key_maps import Fit, Translate, Weights

#: Pooling attention of the three peers below, whose names have one origin.
_ATTENTION: KeyMap = (
    (r"\.attn\.q\.(weight|bias)$", r".attn.qkv.\1[0]"),
    (r"\.attn\.k\.(weight|bias)$", r".attn.qkv.\1[1]"),
    (r"\.attn\.v\.(weight|bias)$", r".attn.qkv.\1[2]"),
    (r"\.attn\.pool_([qkv])\.", r".attn.pool_\1.conv."),
    (r"\.attn\.norm_([qkv])\.", r".attn.pool_\1.norm."),
    (r"^(blocks\.\d+)\.proj\.", r"\1.project."),
)
PYTORCHVIDEO_KEYS: KeyMap = (
    (r"^patch_embed\.patch_model\.", "patch_embed."),
    (r"^cls_positional_encoding\.cls_token$", "cls_token"),
    (r"^cls_positional_encoding\.pos_embed_class$", "cls_pos_embed"),
    (r"^cls_positional_encoding\.pos_embed_spatial$", "pos_embed"),
    (r"^cls_positional_encoding\.pos_embed_temporal$", "time_embed"),
    *_ATTENTION,
    (r"^norm_embed\.", "norm."),
    (r"^head\.proj\.", "classifier."),
)
#: Version 1 keeps queries, keys and values apart, version 2 does not; else they are named alike.
PYSLOWFAST_KEYS: KeyMap = (
    (r"^patch_embed\.proj\.", "patch_embed."),
    (r"^pos_embed_class$", "cls_pos_embed"),
    (r"^pos_embed_spatial$", "pos_embed"),
    (r"^pos_embed_temporal$", "time_embed"),
    *_ATTENTION,
    (r"^head\.projection\.", "classifier."),
)
#: Of its norms one stands behind each stage that is given out; a classifier takes the last.
MMACTION_KEYS: KeyMap = (
    (r"^backbone\.", ""),
    (r"^patch_embed\.projection\.", "patch_embed."),
    *_ATTENTION,
    (r"^norm3\.", "norm."),
    (r"^cls_head\.fc_cls\.", "classifier."),
)
#: Those that the peers keep with leading sides of one, (1, N, D).
_POSITIONS = ("cls_token", "cls_pos_embed", "pos_embed", "time_embed")


def torchvision(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of mvit_v1_b or mvit_v2_s."""
    return under_our_names(weights, TORCHVISION_KEYS)


def _translate(weights: Weights, keys: KeyMap) -> dict[str, torch.Tensor]:
    found = under_our_names(weights, keys)
    for name in _POSITIONS:
        if name in found:
            rows = found[name].flatten(0, -2)  # (1, N, D) -> (N, D)
            found[name] = rows[0] if name.startswith("cls_") else rows
    return found


def pytorchvideo(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of mvit_base_16x4 or mvit_base_32x3."""
    return _translate(weights, PYTORCHVIDEO_KEYS)


def pyslowfast(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of its MViT, version 1 or 2."""
    return _translate(weights, PYSLOWFAST_KEYS)


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of its MViT, version 2, with MViTHead."""
    return _translate(weights, MMACTION_KEYS)


def fit_places(
    found: torch.Tensor,
    own: torch.Tensor,  # noqa: ARG001
    model: nn.Module,
) -> torch.Tensor:
    """Interpolate positions of patches, (N, D), for another crop."""
    assert isinstance(model, MViT)
    return resize_in_space(found[None], model.grid[1:])[0]


def fit_line(found: torch.Tensor, own: torch.Tensor, model: nn.Module) -> torch.Tensor:  # noqa: ARG001
    """Interpolate positions in time or relative ones, (L, D), for another number of them."""
    return resize_in_line(found[None], len(own))[0]


LAYOUTS: Mapping[str, Translate] = {
    "torchvision": torchvision,
    "pytorchvideo": pytorchvideo,
    "pyslowfast": pyslowfast,
    "mmaction": mmaction,
}
FITS: Sequence[Fit] = (
    (r"^pos_embed$", fit_places),
    (r"^time_embed$|\.rel_pos_", fit_line),
)
