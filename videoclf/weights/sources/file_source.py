"""`file:<path>`: a file of yours, with its card beside it (`weights.pth` and `weights.yaml`).

Without a card the layout is found out by the names of its tensors, and nothing is known of
preprocessing, nor of classes unless the file carries them: those of the config are used.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from videoclf.errors import CheckpointError
from videoclf.weights.card import UNKNOWN_LAYOUT, Card, read_card
from videoclf.weights.class_order import check_order, classes_in
from videoclf.weights.sources import Name


def entries(scheme: str) -> tuple[str, ...]:  # noqa: ARG001
    """List nothing: files are the user's."""
    return ()


def card(name: Name) -> Card:
    """Read the card beside a file, or say that all is unknown but the classes that it carries.

    Raises:
        CheckpointError: the card's classes are not the file's.
    """
    path = fetch(name)
    beside, carried = path.with_suffix(".yaml"), classes_in(path)
    if not beside.is_file():
        return Card(name=str(name), layout=UNKNOWN_LAYOUT, classes=carried)
    found = read_card(beside)
    check_order(found, carried, of=f"{path.name} itself")
    return found if found.classes else replace(found, classes=carried)


def fetch(name: Name) -> Path:
    """Return the path.

    Raises:
        CheckpointError: there is no such file.
    """
    path = Path(name.entry).expanduser()
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}; give file:<path of a file>")
    return path
