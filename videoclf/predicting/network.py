"""The network that a resolved config names, with the weights of its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from videoclf.assembly import check_modalities, lay_channels_last
from videoclf.build import build
from videoclf.checkpoints import load_model
from videoclf.errors import ConfigError

#: Arguments of models that name published weights to start from.
_STARTING_WEIGHTS = {"pretrained", "image_weights"}


def build_network(settings: Mapping[str, Any], device: str | None) -> nn.Module:
    """Build the model, and the probe around it if there is one, on a device.

    Args:
        settings: plain and resolved, with the groups `model` and `head`; where `checkpoint_file`
            is among them its weights are loaded, else the model is as it starts.
        device: cpu or cuda; None takes cuda where there is one.

    Raises:
        ConfigError: a wrong value, other modalities than the data's, or a device that is not there.
        CheckpointError: the weights are missing, damaged or do not fit.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(settings["seed"])
    trusted = settings["trusted_packages"]
    node = dict(settings["model"])
    if "checkpoint_file" in settings:
        node |= {key: _nothing(node[key]) for key in _STARTING_WEIGHTS & node.keys()}
    model: nn.Module = build(node, name="model", trusted_packages=trusted)
    check_modalities(model, settings["data"]["modalities"])
    if settings.get("head"):
        model = build(settings["head"], name="head", trusted_packages=trusted, backbone=model)
    if "checkpoint_file" in settings:
        head_of = settings.get("head_of", "new")
        load_model(Path(settings["checkpoint_file"]), model, head_of=head_of)
    lay_channels_last(model)
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"--device={device} cannot be used: {error}") from error


def _nothing(starting_weights: Any) -> Any:
    """Spare the download of weights that those of the checkpoint replace, all of them."""
    return False if isinstance(starting_weights, bool) else None
