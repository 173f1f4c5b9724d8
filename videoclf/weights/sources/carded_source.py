"""Entries that a card of ours describes: `cards/<scheme>/<entry>.yaml`.

For publishers whose metadata stand in prose: pytorchvideo, PySlowFast, MMAction2. The file's URL is
the card's, the cache torch hub's.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from videoclf.build import nearest
from videoclf.errors import CheckpointError, ConfigError
from videoclf.weights.card import Card, read_card
from videoclf.weights.class_sets import class_names_of
from videoclf.weights.hashes import hash_in
from videoclf.weights.sources import Name

CARDS = Path(__file__).parents[1] / "cards"


def entries(scheme: str) -> tuple[str, ...]:
    """List the cards of a scheme."""
    folder = CARDS / scheme
    files = sorted(folder.rglob("*.yaml"))
    return tuple(f"{scheme}:{file.relative_to(folder).with_suffix('')}" for file in files)


def card(name: Name) -> Card:
    """Read a card; class names that it leaves to its class set, and a hash to its URL, are added.

    Raises:
        ConfigError: there is none.
    """
    path = CARDS / name.scheme / f"{name.entry}.yaml"
    if str(name) not in entries(name.scheme):
        raise ConfigError(f"there is no card of {name}{nearest(str(name), entries(name.scheme))}")
    found = read_card(path)
    return replace(
        found,
        classes=found.classes or class_names_of(found.class_set),
        sha256=found.sha256 or (hash_in(found.url) if found.url else None),
    )


def fetch(name: Name) -> Path:
    """Return the file in torch hub's cache, downloaded if need be.

    Raises:
        CheckpointError: it is not there and cannot be fetched.
    """
    url = card(name).url
    if url is None:
        raise CheckpointError(
            f"the card of {name} names no file; fetch it, and give it as file:<its path>"
        )
    from videoclf.weights.sources.torch_hub import from_torch_hub  # brings torch along

    return from_torch_hub(name, url)
