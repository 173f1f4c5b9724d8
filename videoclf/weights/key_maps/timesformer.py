"""TimeSformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.positions import resize_in_space, resize_in_time
from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.models.timesformer import TRANSFORMERS_KEYS
from videoclf.weights.key_maps import Fit, Translate, Weights

MMACTION_KEYS: KeyMap = (
    (r"^backbone\.", ""),
    (r"^patch_embed\.projection\.", "patch_embed."),
    (r"^transformer_layers\.layers\.", "blocks."),
    (r"\.ffns\.0\.norm\.", ".norm2."),
    (r"\.ffns\.0\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffns\.0\.layers\.1\.", ".mlp.fc2."),
    (r"attn\.in_proj_(weight|bias)$", r"attn.qkv.\1"),
    (r"attn\.out_proj\.", "attn.proj."),
    (r"^cls_head\.fc_cls\.", "classifier."),
)
#: Whether attention is divided -> its names. Then the one over time comes first, each has its norm,
#: and so has the MLP; else all norms of a block stand in a list.
MMACTION_ATTENTIONS: Mapping[bool, KeyMap] = {
    True: (
        (r"\.attentions\.0\.norm\.", ".temporal_norm1."),
        (r"\.attentions\.0\.attn\.", ".temporal_attn."),
        (r"\.attentions\.0\.temporal_fc\.", ".temporal_fc."),
        (r"\.attentions\.1\.norm\.", ".norm1."),
        (r"\.attentions\.1\.attn\.", ".attn."),
    ),
    False: (
        (r"\.attentions\.0\.attn\.", ".attn."),
        (r"\.norms\.0\.", ".norm1."),
        (r"\.norms\.1\.", ".norm2."),
    ),
}


def transformers(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of TimesformerForVideoClassification."""
    return under_our_names(weights, TRANSFORMERS_KEYS)


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of its TimeSformer with TimeSformerHead."""
    divided = any(".attentions.1." in name for name in weights)
    return under_our_names(weights, (*MMACTION_ATTENTIONS[divided], *MMACTION_KEYS))


def fit_places(
    found: torch.Tensor,
    own: torch.Tensor,
    model: nn.Module,  # noqa: ARG001
) -> torch.Tensor:
    """Interpolate positions (1, 1 + N, D) for another crop; the class token's stays."""
    side = round((own.shape[1] - 1) ** 0.5)
    return torch.cat([found[:, :1], resize_in_space(found[:, 1:], (side, side))], dim=1)


def fit_time(found: torch.Tensor, own: torch.Tensor, model: nn.Module) -> torch.Tensor:  # noqa: ARG001
    """Interpolate positions (1, T, D) for another number of frames."""
    return resize_in_time(found, own.shape[1])


LAYOUTS: Mapping[str, Translate] = {"transformers": transformers, "mmaction": mmaction}
FITS: Sequence[Fit] = ((r"^pos_embed$", fit_places), (r"^time_embed$", fit_time))
