"""Put an entry's weights into a model of ours, and say what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from videoclf.errors import CheckpointError
from videoclf.init_from import HEAD
from videoclf.weights.card import UNKNOWN_LAYOUT, Card
from videoclf.weights.heads import check_against_card, flat_head, load_head
from videoclf.weights.key_maps import Translate, Weights, layouts_of
from videoclf.weights.matching import match, turn_colours
from videoclf.weights.reading import check_hash, read_tensors
from videoclf.weights.sources import parse, source_of

ALLOW = "weights_allow_unmatched"
OURS = "videoclf"  # the layout of our own names


def load_entry(
    name: str,
    model: nn.Module,
    *,
    class_names: Sequence[str],
    allow_unmatched: bool = False,
) -> str:
    """Load `<scheme>:<entry>` into a model; return a sentence that says what came from it.

    Args:
        name: of the entry.
        model: changed in place.
        class_names: of its head's rows; rows of the entry's head follow them by name, new classes
            stay as they were drawn.
        allow_unmatched: load what fits, and name the rest instead of refusing.

    Raises:
        ConfigError: no such source or entry.
        CheckpointError: the file is missing, damaged or unsafe, or weights do not fit.
    """
    parsed = parse(name)
    source = source_of(parsed)
    card, path = source.card(parsed), source.fetch(parsed)
    check_hash(path, card.sha256)
    return load_file(path, card, model, class_names=class_names, allow_unmatched=allow_unmatched)


def load_file(
    path: Path,
    card: Card,
    model: nn.Module,
    *,
    class_names: Sequence[str],
    allow_unmatched: bool = False,
) -> str:
    """Load a file that a card describes; as `load_entry`."""
    found = under_our_names(read_tensors(path), card, model)
    check_against_card(found, card)
    matched = match(found, model)
    unmatched = [*matched.unmatched, *_head_width(found, model)]
    if unmatched and not allow_unmatched:
        raise CheckpointError(
            f"{card.name} ({path}) does not fit {type(model).__name__}: {'; '.join(unmatched)}; "
            f"take a model of its shape, or load what fits with {ALLOW}=true"
        )
    model.load_state_dict(dict(matched.tensors), strict=False)
    rows = 0
    if not _head_width(found, model):
        rows = load_head(found, model, class_names=class_names, trained_names=card.classes)
    adapted = f"; adapted: {', '.join(matched.adapted)}" if matched.adapted else ""
    left = f"; unmatched: {'; '.join(unmatched)}" if unmatched else ""
    return (
        f"weights of {card.name}: {len(matched.tensors)} tensors and {rows} of "
        f"{len(class_names)} classes by name{adapted}{left}"
    )


def under_our_names(weights: Weights, card: Card, model: nn.Module) -> dict[str, torch.Tensor]:
    """Translate a file's tensors by the layout of its card.

    Raises:
        CheckpointError: the model's family has no key map for it.
    """
    if card.layout in (OURS, UNKNOWN_LAYOUT):
        found = most_alike(weights, model) if card.layout == UNKNOWN_LAYOUT else dict(weights)
    else:
        layouts = layouts_of(model)
        if card.layout not in layouts:
            known = ", ".join(layouts) or "none"
            raise CheckpointError(
                f"{card.name} has {card.layout}'s names, which {type(model).__name__} cannot read "
                f"(it reads: {known}); set model={card.model or 'to one that can'}"
            )
        found = layouts[card.layout](weights, model)
    found = dict(flat_head(found))
    return turn_colours(found, model) if card.colours == "bgr" else found


def most_alike(weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:
    """Translate by the layout under which most names are the model's; ours is one of them."""
    own = set(model.state_dict())
    tried = [_tried(translate, weights, model) for translate in layouts_of(model).values()]
    return max([dict(weights), *tried], key=lambda found: len(own & set(found)))


def _tried(translate: Translate, weights: Weights, model: nn.Module) -> dict[str, torch.Tensor]:
    """Translate, or return nothing where a key map meets names of another layout."""
    try:
        return translate(weights, model)
    except (KeyError, ValueError):
        return {}


def _head_width(found: Weights, model: nn.Module) -> list[str]:
    """Say where the head reads features of another number than the model's."""
    own = model.state_dict().get(HEAD[0])
    if own is None or HEAD[0] not in found or found[HEAD[0]].shape[1] == own.shape[1]:
        return []
    return [f"{HEAD[0]} reads {found[HEAD[0]].shape[1]} features, not {own.shape[1]}"]
