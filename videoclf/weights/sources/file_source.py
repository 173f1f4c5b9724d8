"""`file:<path>`: a file of yours, with its card beside it (`weights.pth` and `weights.yaml`).

Without a card the layout is found out by the names of its tensors, and nothing is known of classes
and preprocessing: those of the config are used.
"""

from __future__ import annotations

from pathlib import Path

from videoclf.errors import CheckpointError
from videoclf.weights.card import UNKNOWN_LAYOUT, Card, read_card
from videoclf.weights.sources import Name


def entries(scheme: str) -> tuple[str, ...]:  # noqa: ARG001
    """List nothing: files are the user's."""
    return ()


def card(name: Name) -> Card:
    """Read the card beside a file, or say that all is unknown."""
    beside = fetch(name).with_suffix(".yaml")
    return read_card(beside) if beside.is_file() else Card(name=str(name), layout=UNKNOWN_LAYOUT)


def fetch(name: Name) -> Path:
    """Return the path.

    Raises:
        CheckpointError: there is no such file.
    """
    path = Path(name.entry).expanduser()
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}; give file:<path of a file>")
    return path
