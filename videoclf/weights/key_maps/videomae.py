"""VideoMAE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.weights.key_maps import Fit, Translate, Weights, without

#: The names of VideoMAEForVideoClassification -> ours; of pretraining the encoder.
TRANSFORMERS_KEYS: KeyMap = (
    (r"^videomae\.embeddings\.patch_embeddings\.projection\.", "encoder.patch_embed."),
    (r"^videomae\.encoder\.layer\.", "encoder.blocks."),
    (r"\.attention\.attention\.(query\.bias|q_bias)$", ".attn.q_bias"),
    (r"\.attention\.attention\.(value\.bias|v_bias)$", ".attn.v_bias"),
    (r"\.attention\.attention\.query\.weight$", ".attn.qkv.weight[0]"),
    (r"\.attention\.attention\.key\.weight$", ".attn.qkv.weight[1]"),
    (r"\.attention\.attention\.value\.weight$", ".attn.qkv.weight[2]"),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"^fc_norm\.", "mean_norm."),
)

MMACTION_KEYS: KeyMap = (
    (r"^backbone\.fc_norm\.", "mean_norm."),
    (r"^backbone\.", "encoder."),
    (r"\.patch_embed\.projection\.", ".patch_embed."),
    (r"\.mlp\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.mlp\.layers\.1\.", ".mlp.fc2."),
    (r"^cls_head\.fc_cls\.", "classifier."),
)


def transformers(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of VideoMAEForVideoClassification; its positions are computed, here as there."""
    return under_our_names(without(weights, r"\.position_embeddings$"), TRANSFORMERS_KEYS)


def mmaction(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of its VisionTransformer with TimeSformerHead; its positions are computed, here as there."""
    return under_our_names(without(weights, r"^backbone\.pos_embed$"), MMACTION_KEYS)


LAYOUTS: Mapping[str, Translate] = {"transformers": transformers, "mmaction": mmaction}
FITS: Sequence[Fit] = ()
