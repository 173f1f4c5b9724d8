"""Put an entry's weights into a model of ours, and say what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from videoclf.errors import CheckpointError
from videoclf.init_from import ENCODER, HEAD, branches, is_pretraining, keep_head
from videoclf.weights.card import UNKNOWN_LAYOUT, Card
from videoclf.weights.hashes import check_hash
from videoclf.weights.heads import check_against_card, flat_head, load_head
from videoclf.weights.images import load_images
from videoclf.weights.key_maps import Translate, Weights, layouts_of
from videoclf.weights.matching import match, turn_colours
from videoclf.weights.reading import read_tensors
from videoclf.weights.sources import parse, source_of

ALLOW = "weights_allow_unmatched"
OURS = "videoclf"  # the layout of our own names


def load_entry(
    name: str,
    model: nn.Module,
    *,
    class_names: Sequence[str],
    allow_unmatched: bool = False,
    whole: bool = False,
    keep_source: bool = False,
) -> str:
    """Load `<scheme>:<entry>` into a model; return a sentence that says what came from it.

    Args:
        name: of the entry.
        model: changed in place.
        class_names: of its head's rows; rows of the entry's head follow them by name, new classes
            stay as they were drawn.
        allow_unmatched: load what fits, and name the rest instead of refusing.
        whole: every class has to come from the entry, for it is not trained further.
        keep_source: keep the entry's class head, too, beside the model's.

    Raises:
        ConfigError: no such source or entry.
        CheckpointError: the file is missing, damaged or unsafe, or weights do not fit.
    """
    parsed = parse(name)
    source = source_of(parsed)
    card, path = source.card(parsed), source.fetch(parsed)
    check_hash(path, card.sha256)
    return load_file(
        path,
        card,
        model,
        class_names=class_names,
        allow_unmatched=allow_unmatched,
        whole=whole,
        keep_source=keep_source,
    )


def load_file(
    path: Path,
    card: Card,
    model: nn.Module,
    *,
    class_names: Sequence[str],
    allow_unmatched: bool = False,
    whole: bool = False,
    keep_source: bool = False,
) -> str:
    """Load a file that a card describes; as `load_entry`."""
    tensors = read_tensors(path)
    if card.layout == "timm":
        taken, rows, said = load_images(tensors, card, model), 0, ""
        found: Weights = {}  # a head of single pictures is of no use here
    else:
        found = under_our_names(tensors, card, model)
        taken, rows, said = _load(
            found, path, card, model, class_names, allow_unmatched=allow_unmatched
        )
    if keep_source:
        said += keep_head(found, model, of=card.name)
    if whole and rows < len(class_names):
        raise CheckpointError(
            f"{card.name} has {rows} of the {len(class_names)} classes, and there is no training "
            "to learn the others; evaluate it on data whose classes it knows, or train it first"
        )
    return (
        f"weights of {card.name}: {taken} tensors and {rows} of {len(class_names)} classes by name"
        f"{said}"
    )


def _load(
    found: Weights,
    path: Path,
    card: Card,
    model: nn.Module,
    class_names: Sequence[str],
    *,
    allow_unmatched: bool,
) -> tuple[int, int, str]:
    """Load tensors under our names; return how many, how many classes, and what else to say."""
    check_against_card(found, card)
    said = ""
    own = model.state_dict()
    if is_pretraining(found, own):
        behind = [name for name in found if not name.startswith(ENCODER)]
        new = [name for name in own if not name.startswith(ENCODER)]
        said = (
            f"; as expected after pretraining, left behind: {', '.join(branches(behind, new))}; "
            f"new: {', '.join(branches(new, behind))}"
        )
        found = {name: value for name, value in found.items() if name.startswith(ENCODER)}
        found |= {name: own[name] for name in new}
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
    said += f"; adapted: {', '.join(matched.adapted)}" if matched.adapted else ""
    said += f"; unmatched: {'; '.join(unmatched)}" if unmatched else ""
    return len(matched.tensors), rows, said


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
