"""`timm:<network>.<weights>`, such as `timm:resnet50.a1_in1k`: networks of pictures.

Preprocessing, licence and place are those of timm's own configurations. The files are on the
Hugging Face hub and in its cache, or at a URL and in torch hub's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm

from videoclf.build import nearest
from videoclf.errors import ConfigError
from videoclf.weights.card import Card
from videoclf.weights.sources import Name
from videoclf.weights.sources.hugging_face import from_hub
from videoclf.weights.sources.torch_hub import from_torch_hub

#: Shown by `videoclf weights list`; timm has a thousand more.
SHOWN = (
    "resnet18.a1_in1k",
    "resnet50.a1_in1k",
    "convnext_tiny.fb_in1k",
    "swin_tiny_patch4_window7_224.ms_in1k",
    "vit_base_patch16_224.augreg_in1k",
    "vit_small_patch16_224.augreg_in21k_ft_in1k",
)


def entries(scheme: str) -> tuple[str, ...]:
    """List some of timm's networks."""
    return tuple(f"{scheme}:{entry}" for entry in SHOWN)


def card(name: Name) -> Card:
    """Read what timm says of its weights.

    Raises:
        ConfigError: it has no such network, or no weights of it.
    """
    settings = _settings(name)
    _, height, _ = settings.input_size
    return Card(
        name=str(name),
        layout="timm",
        model="single_frame",
        model_settings={"backbone": name.entry.partition(".")[0]},
        mean=tuple(settings.mean),
        std=tuple(settings.std),
        crop_pixels=height,
        resize_pixels=round(height / settings.crop_pct),
        licence=settings.license,
        url=settings.url or f"https://huggingface.co/{settings.hf_hub_id}",
        notes="a network of single pictures; its classifier of theirs is left out",
    )


def fetch(name: Name) -> Path:
    """Return the file, from its cache or the network.

    Raises:
        CheckpointError: it is not there and cannot be fetched.
    """
    settings = _settings(name)
    if settings.hf_hub_id:
        return from_hub(name, settings.hf_hub_id, settings.hf_hub_filename or "model.safetensors")
    return from_torch_hub(name, settings.url)


def _settings(name: Name) -> Any:
    network = name.entry.partition(".")[0]
    if not timm.is_model(network):
        raise ConfigError(f"timm has no network {network!r}{nearest(network, timm.list_models())}")
    known = [n for n in timm.list_pretrained() if n.partition(".")[0] == network]
    if name.entry not in (*known, network):
        raise ConfigError(f"timm has no weights {name.entry!r}{nearest(name.entry, known)}")
    return timm.get_pretrained_cfg(name.entry)
