"""Whether a card names classes in the order of the head's rows, where that can be known.

A list of the right length in another order gives a network that answers confidently and wrongly. It
can be held against the file, where that carries its classes itself: safetensors that
`videoclf weights convert` wrote, config.json of transformers; and against a data set whose order is
known, for weights in the layout of a zoo that numbers its classes so. No torch here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from videoclf.errors import CheckpointError
from videoclf.weights.card import Card

#: Where class names stand in the metadata of a safetensors file, as a JSON list.
CLASSES = "classes"
#: Layouts of those who number a data set's classes by their names.
ZOOS = ("torchvision", "pytorchvideo", "pyslowfast", "mmaction")


def plain_name(name: str) -> str:
    """Return a class name without what spellings differ in: `Push-Ups` is `push ups`."""
    return re.sub(r"[^a-z0-9]+", " ", name.casefold()).strip()


def classes_in(path: Path) -> tuple[str, ...]:
    """Return the class names that a file carries, in the order of its head's rows; often none.

    Args:
        path: of weights; other than safetensors carry none, and damage is for the reader to say.
    """
    if path.suffix != ".safetensors":
        return ()
    try:
        with safe_open(path, framework="numpy") as file:
            names = json.loads((file.metadata() or {}).get(CLASSES, "[]"))
    except (SafetensorError, OSError, ValueError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def check_order(card: Card, known: Sequence[str], *, of: str) -> None:
    """Hold a card's classes against those that are known, spelling aside.

    Args:
        card: without classes it says nothing that could be wrong.
        known: in the order of the head's rows; empty where nobody knows.
        of: who says so, for the error.

    Raises:
        CheckpointError: they differ; it names the first that does.
    """
    if not known or not card.classes:
        return
    if len(card.classes) != len(known):
        raise CheckpointError(
            f"the card of {card.name} names {len(card.classes)} classes, and {of} {len(known)}; "
            "mend the card, or take the file that it belongs to"
        )
    for row, (said, right) in enumerate(zip(card.classes, known, strict=True)):
        if plain_name(said) != plain_name(right):
            how = "the same classes in another order" if is_permuted(card, known) else "others"
            raise CheckpointError(
                f"the card of {card.name} calls class {row} {said!r}, and {of} {right!r} ({how}), "
                "so that right answers would count as wrong; mend the card's classes"
            )


def is_permuted(card: Card, known: Sequence[str]) -> bool:
    """Whether a card has the same classes, in whatever order."""
    return sorted(map(plain_name, card.classes)) == sorted(map(plain_name, known))
