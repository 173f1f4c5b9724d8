"""Where entries come from: a module a scheme, and the table of them.

Each module has

    card(name) -> Card           what is known of an entry; fetches small files at most
    fetch(name) -> Path          the file of its weights, from the usual cache, or downloaded there
    entries(scheme)              what `videoclf weights list` shows, a tuple of names

and raises CheckpointError with what to fetch, and where to put it, where there is no network.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from videoclf.build import nearest
from videoclf.errors import CheckpointError, ConfigError
from videoclf.weights.card import Card

#: Scheme -> its module here.
SOURCES = {
    "torchvision": "torchvision_source",
    "timm": "timm_source",
    "hf": "transformers_source",
    "pytorchvideo": "carded_source",
    "pyslowfast": "carded_source",
    "mmaction": "carded_source",
    "file": "file_source",
}


class Name(NamedTuple):
    """`torchvision:R3D_18/KINETICS400_V1`, in its two parts."""

    scheme: str
    entry: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.entry}"


@dataclass(frozen=True)
class Source:
    """What a scheme's module offers."""

    card: Callable[[Name], Card]
    fetch: Callable[[Name], Path]
    entries: Callable[[str], tuple[str, ...]]


def parse(text: str) -> Name:
    """Part a name into scheme and entry.

    Raises:
        ConfigError: there is no such scheme.
    """
    scheme, colon, entry = text.partition(":")
    if not colon or not entry or scheme not in SOURCES:
        hint = nearest(scheme, SOURCES) if colon else f"; schemes: {', '.join(SOURCES)}"
        raise ConfigError(
            f"model.weights={text} names no source; write <scheme>:<entry>, such as "
            f"torchvision:R3D_18/KINETICS400_V1{hint}"
        )
    return Name(scheme, entry)


def source_of(name: Name) -> Source:
    """Import the module of a name's scheme."""
    module = importlib.import_module(f"videoclf.weights.sources.{SOURCES[name.scheme]}")
    return Source(module.card, module.fetch, module.entries)


def not_here(name: str, *, url: str, place: Path, reason: object) -> CheckpointError:
    """Return the error of an entry that is neither cached nor can be fetched."""
    return CheckpointError(
        f"the weights {name} are not on this machine and cannot be fetched ({reason}); fetch {url} "
        f"elsewhere and put it at {place}"
    )
