"""Networks of pictures (timm's) as the beginning of a model of clips.

timm's own code reads the tensors into timm's own network, so that every one is accounted for; the
model then takes them: as they are where it looks at single frames, inflated, spread or repeated
where it does not (`load_image_weights`). timm's classifier is of other classes and is left out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from videoclf.errors import CheckpointError
from videoclf.weights.card import Card
from videoclf.weights.key_maps import Weights


def load_images(weights: Weights, card: Card, model: nn.Module) -> int:
    """Load a network of pictures; return how many of its tensors the model took.

    Args:
        weights: by timm's names.
        card: of a `timm:` entry.
        model: changed in place.

    Raises:
        CheckpointError: the file is not of the card's network, or the model does not take it.
    """
    flat = _as_timm_reads(weights, card)
    try:
        if hasattr(model, "load_image_weights"):
            model.load_image_weights(flat)  # type: ignore[operator]
        elif isinstance(cnn := getattr(model, "cnn", None), nn.Module):
            cnn.load_state_dict(flat)
        else:
            raise CheckpointError(
                f"{type(model).__name__} takes no networks of pictures; set model=inflated, "
                "single_frame or another that names a backbone"
            )
    except (ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise CheckpointError(
            f"{card.name} does not fit {type(model).__name__}: {said}; set model.backbone="
            f"{card.model_settings.get('backbone')} where the model names one"
        ) from error
    return len(flat)


def _as_timm_reads(weights: Weights, card: Card) -> dict[str, torch.Tensor]:
    """Return the tensors of timm's network without its classifier, read by timm's own code."""
    import timm

    scheme, _, entry = card.name.partition(":")
    network = entry if scheme == "timm" else card.model_settings["backbone"]
    try:
        # timm passes over what does not fit where the number of classes is another than the file's
        read: Any = timm.create_model(
            network,
            pretrained=True,
            num_classes=timm.get_pretrained_cfg(network).num_classes,
            pretrained_cfg_overlay={"state_dict": dict(weights)},
        )
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise CheckpointError(f"the file of {card.name} is not that network: {said}") from error
    read.reset_classifier(0)
    tensors: dict[str, torch.Tensor] = read.state_dict()
    return tensors
