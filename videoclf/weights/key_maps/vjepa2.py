"""V-JEPA 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.torchvision_weights import KeyMap
from videoclf.models.blocks.transformers_weights import under_our_names
from videoclf.weights.key_maps import Fit, Translate, Weights, without

#: The names of VJEPA2ForVideoClassification, or of VJEPA2Model, which is its encoder -> ours.
TRANSFORMERS_KEYS: KeyMap = (
    (r"^vjepa2\.", ""),
    (r"^encoder\.embeddings\.patch_embeddings\.proj\.", "encoder.patch_embed."),
    (r"^encoder\.layernorm\.", "encoder.norm."),
    (r"^encoder\.layer\.", "encoder.blocks."),
    (r"\.attention\.query\.(.*)", r".attn.qkv.\1[0]"),
    (r"\.attention\.key\.(.*)", r".attn.qkv.\1[1]"),
    (r"\.attention\.value\.(.*)", r".attn.qkv.\1[2]"),
    (r"\.attention\.proj\.", ".attn.proj."),
    (r"^pooler\.query_tokens$", "pooler.pool.query"),
    (r"^pooler\.self_attention_layers\.", "pooler.blocks."),
    (r"^pooler\.cross_attention_layer\.", "pooler.pool."),
    (r"\.layer_norm([12])\.", r".norm\1."),
    (r"\.self_attn\.q_proj\.(.*)", r".attn.qkv.\1[0]"),
    (r"\.self_attn\.k_proj\.(.*)", r".attn.qkv.\1[1]"),
    (r"\.self_attn\.v_proj\.(.*)", r".attn.qkv.\1[2]"),
    (r"\.self_attn\.out_proj\.", ".attn.proj."),
    (r"\.cross_attn\.q_proj\.", ".q."),
    (r"\.cross_attn\.k_proj\.(.*)", r".kv.\1[0]"),
    (r"\.cross_attn\.v_proj\.(.*)", r".kv.\1[1]"),
    # of pretraining, by which `videoclf.init_from.is_pretraining` knows it
    (r"^predictor\.embeddings\.mask_tokens$", "mask_token"),
)


def transformers(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:  # noqa: ARG001
    """Of either network.

    A classifier's file holds the predictor of its pretraining, which no class depends on. That of
    an encoder's file stays, to be told as what the pretraining leaves behind.
    """
    return under_our_names(without(weights, r"^vjepa2\.predictor\."), TRANSFORMERS_KEYS)


LAYOUTS: Mapping[str, Translate] = {"transformers": transformers}
FITS: Sequence[Fit] = ()
