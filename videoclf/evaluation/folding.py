"""Batch norms folded into the convolutions before them: the same function in fewer layers.

Which norm follows which convolution is found by running the network once and looking where each
output goes, so that it serves whatever is written in a `forward`; and the outputs are held against
those from before, so that a network it does not serve is refused.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks", section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from videoclf.errors import ConfigError
from videoclf.models.blocks.inflated_layers import InflatedBatchNormAct
from videoclf.models.blocks.timm_norms import loaded_timm_norms

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
#: How far outputs may lie apart by rounding, as a share of the largest.
_ROUNDING = 1e-3


def fold_batch_norms(model: nn.Module, clips: Mapping[str, torch.Tensor]) -> int:
    """Fold every batch norm that alone reads a convolution into it, in place; return how many.

    Args:
        model: in eval mode.
        clips: by modality, such as it takes.

    Raises:
        ConfigError: there is none to fold, or the network then says something else.
    """
    name = type(model).__name__
    if getattr(model, "feature_cache", None) is not None:
        raise ConfigError(
            "inference.fold_batch_norm=true: the features in model.feature_cache are those of the "
            "network as it was; set model.feature_cache=null"
        )
    with torch.no_grad():
        pairs, before = _find_pairs(model, clips)
        if not pairs:
            raise ConfigError(
                f"inference.fold_batch_norm=true, but {name} has no batch norm right behind a "
                "convolution; leave it out"
            )
        for norm, convolution in pairs.items():
            _fold(norm, convolution)
        _replace(model, pairs)
        apart = float((model(**clips) - before).abs().max())
    if not apart <= _ROUNDING * max(1.0, float(before.abs().max())):
        raise ConfigError(
            f"inference.fold_batch_norm=true changes the logits of {name} by {apart:.3g}: what a "
            "convolution gives goes elsewhere too; leave it out"
        )
    return len(pairs)


def _find_pairs(
    model: nn.Module, clips: Mapping[str, torch.Tensor]
) -> tuple[dict[nn.Module, nn.Module], torch.Tensor]:
    """Run the model; return the convolution of each norm that can be folded, and the logits."""
    made: dict[int, tuple[nn.Module, torch.Tensor, int]] = {}  # kept alive, so that ids are unique
    sources: dict[nn.Module, set[nn.Module | None]] = {}
    readers: dict[nn.Module, set[nn.Module]] = {}

    def note_output(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:  # noqa: ARG001
        made[id(output)] = module, output, output._version

    def note_input(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        source, output, version = made.get(id(inputs[0]), (None, inputs[0], -1))
        unchanged = output._version == version  # an activation in place makes it another
        sources.setdefault(module, set()).add(source if unchanged else None)
        if source is not None:
            readers.setdefault(source, set()).add(module)

    hooks = []
    for module in model.modules():
        if isinstance(module, _CONVOLUTIONS):
            hooks.append(module.register_forward_hook(note_output))
        elif type(module) in _NORMS or _activates(module):
            hooks.append(module.register_forward_pre_hook(note_input))
    try:
        logits = model(**clips)
    finally:
        for hook in hooks:
            hook.remove()
    pairs: dict[nn.Module, nn.Module] = {}
    for norm, found in sources.items():
        (source, *others) = found
        if source is not None and not others and readers[source] == {norm}:
            pairs[norm] = source
    return {n: c for n, c in pairs.items() if n.running_mean is not None}, logits


def _activates(module: nn.Module) -> bool:
    return isinstance(module, (InflatedBatchNormAct, *loaded_timm_norms()))


def _fold(norm: Any, convolution: Any) -> None:
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )


def _replace(model: nn.Module, norms: Mapping[nn.Module, nn.Module]) -> None:
    for parent in list(model.modules()):
        children: list[tuple[str, Any]] = list(parent.named_children())
        for name, child in children:
            if child not in norms:
                continue
            left: nn.Module = nn.Identity()
            if _activates(child):
                left = nn.Sequential(child.drop, child.act)
            setattr(parent, name, left)
