"""A network of ours as a plain file: safetensors under our names, and a card beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from videoclf import checkpoint_file
from videoclf.cache import atomic_write
from videoclf.errors import CheckpointError
from videoclf.models.blocks.source_head import SOURCE_HEAD
from videoclf.weights.card import Card, write_card
from videoclf.weights.class_order import CLASSES
from videoclf.weights.hashes import sha256_of
from videoclf.weights.verifying import noise_logits

#: What follows from data and clip, or only says what a training started from.
_NOT_OF_THE_SHAPE = ("_target_", "num_classes", "num_frames", "image_size")
_STARTS = ("pretrained", "image_weights", "feature_cache")


def card_of_checkpoint(path: Path) -> Card:
    """Return what a checkpoint of ours says of itself, as a card.

    Raises:
        CheckpointError: it is missing or damaged, or of a probe, which is no whole network.
    """
    described = checkpoint_file.describe(path)
    config: Mapping[str, Any] = described["config"]
    if config.get("head"):
        raise CheckpointError(
            f"{path} is of a probe on another network (head={config['choices'].get('head')}); "
            "convert one that was trained with head=null"
        )
    sampler, transform = config["sampler"], config["transform"]
    views = {
        key: value
        for key, value in config.get("views", {}).items()
        if key not in ("_target_", "keep") and value is not None
    }
    return Card(
        name=f"file:{path}",
        layout="videoclf",
        model=config["choices"]["model"],
        model_settings={
            key: _nothing(value) if key in _STARTS else value
            for key, value in config["model"].items()
            if key not in _NOT_OF_THE_SHAPE
        },
        classes=tuple(described["classes"]),
        class_set=config["choices"].get("data"),
        mean=tuple(transform["mean"]),
        std=tuple(transform["std"]),
        num_frames=sampler["num_frames"],
        stride=sampler.get("stride"),
        fps=sampler.get("fps"),
        resize_pixels=transform["resize_pixels"],
        crop_pixels=transform["crop_pixels"],
        views=views,
        notes=f"trained by videoclf on the manifest {described['manifest_sha256'][:16]}",
    )


def write_weights(model: nn.Module, card: Card, target: Path) -> Path:
    """Write a network's tensors and its card, without a source's head; return the card's path.

    The tensors' file carries the classes, too, so that a card of another order is found out.

    Args:
        model: of the card.
        card: of where the weights come from; name, layout, hash and logits are the new file's.
        target: a .safetensors file; another of that name is replaced.
    """
    own = {name: v for name, v in model.state_dict().items() if name not in SOURCE_HEAD}
    tensors = {name: value.contiguous().cpu() for name, value in own.items()}
    with atomic_write(target) as temporary:
        metadata = {"format": "pt", CLASSES: json.dumps(card.classes)}
        save_file(tensors, temporary, metadata=metadata)
    written = replace(
        card,
        name=f"file:{target.name}",
        layout="videoclf",
        colours="rgb",
        url=None,
        sha256=sha256_of(target),
        logits=tuple(round(value, 6) for value in noise_logits(model, card)[:5]),
    )
    path = target.with_suffix(".yaml")
    write_card(written, path)
    return path


def _nothing(starting_weights: Any) -> Any:
    return False if isinstance(starting_weights, bool) else None
