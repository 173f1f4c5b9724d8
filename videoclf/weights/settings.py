"""A card as overrides of a config: what a command that names weights need not type. No torch.

They stand in front of the user's own, which win; and where the user chooses another option of a
group, or another model, nothing of the card's for it is left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from videoclf.weights.card import Card


def training_settings(card: Card) -> dict[str, Any]:
    """Return what of a card holds for further training: model, clip, size, colours."""
    found: dict[str, Any] = {"model": card.model} if card.model else {}
    found |= {f"model.{key}": value for key, value in card.model_settings.items()}
    if card.num_frames is not None:
        found |= {
            "sampler": "dense",
            "sampler.num_frames": card.num_frames,
        }
        if card.stride is not None or card.fps is not None:
            found |= {"sampler.stride": card.stride, "sampler.fps": card.fps}
    if card.crop_pixels is not None:
        size = card.resize_pixels or card.crop_pixels
        found["transform.resize_pixels"] = min(size) if isinstance(size, tuple) else size
        found["transform.crop_pixels"] = card.crop_pixels
    return found | {"transform.mean": list(card.mean), "transform.std": list(card.std)}


def test_settings(card: Card) -> dict[str, Any]:
    """Return what of a card holds for a test: also the protocol, and nothing of a training."""
    size = card.resize_pixels
    exact = {"views.size_pixels": list(size)} if isinstance(size, tuple) else {}
    return {
        "task": "classification",
        "optimizer": "adamw",
        "transform": "plain",
        "head": None,
        "recipe": "default",
        "sampler": "dense",
        **training_settings(card),
        "views.resizing": card.resizing,
        **exact,
        **{f"views.{key}": value for key, value in card.views.items()},
    }


def as_overrides(settings: Mapping[str, Any], given: Sequence[str]) -> list[str]:
    """Write settings as Hydra reads them, without those that the user's own put out of place.

    Args:
        settings: group -> option, and key -> value.
        given: the user's overrides.
    """
    chosen = dict(text.split("=", 1) for text in given if "=" in text)
    groups = {key for key in chosen if "." not in key}
    kept = {
        key: value
        for key, value in settings.items()
        if not _replaced(key, settings, chosen, groups)
    }
    return [_override(key, value) for key, value in kept.items()]


def _override(key: str, value: Any) -> str:
    """Write one setting; a group without an option is taken off."""
    if "." in key:
        return f"{key}={json.dumps(value)}"
    return f"~{key}" if value is None else f"{key}={value}"


def _replaced(
    key: str, settings: Mapping[str, Any], chosen: Mapping[str, str], groups: set[str]
) -> bool:
    """Whether the user has chosen another option of a key's group.

    Size, colours and protocol hold whatever option of `transform` or `views` is chosen; what a
    model's or a sampler's keys are depends on the option.
    """
    group = key.partition(".")[0]
    if key == group:
        return key in groups
    if group in ("model", "sampler") and group in groups:
        return chosen[group] != settings.get(group)
    return False


def departures(settings: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Say where a resolved config departs from a card, as `views.num_clips=10 (card: 5)`."""
    found = []
    for key, wanted in settings.items():
        group, _, inner = key.partition(".")
        if not inner:
            continue
        value = (config.get(group) or {}).get(inner)
        if _plain(value) != _plain(wanted):
            found.append(f"{key}={_said(value)} (card: {_said(wanted)})")
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _said(value: Any) -> str:
    return json.dumps(_plain(value))
