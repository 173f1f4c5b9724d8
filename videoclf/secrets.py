"""Keys and tokens of a config reach the ranks by their environment, and never the run folder.

`config.yaml` says "(hidden)" in their place, and so does whatever is made from it: checkpoints,
results, reports. What counts as a secret is said in `videoclf.reports.redaction`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from videoclf.errors import ConfigError
from videoclf.reports.redaction import HIDDEN, redact

#: JSON: a list of [place, value], where a place is the list of keys and numbers that lead to it.
VARIABLE = "VIDEOCLF_SECRETS"

Place = tuple[str | int, ...]


def find_secrets(config: Mapping[str, Any]) -> dict[Place, str]:
    """Return by their places the values of a plain config that its file must not hold."""
    shown = dict(_texts(redact(config)))
    return {place: text for place, text in _texts(config) if shown[place] != text}


def as_variables(secrets: Mapping[Place, str]) -> dict[str, str]:
    """Return the environment that hands secrets to a rank."""
    return {VARIABLE: json.dumps([[list(place), text] for place, text in secrets.items()])}


def reveal(config: dict[str, Any]) -> dict[str, Any]:
    """Put into a rank's config what the launching process has handed over, and forget the latter.

    Raises:
        ConfigError: a value is hidden, and nobody has handed it over.
    """
    for place, text in json.loads(os.environ.pop(VARIABLE, "[]")):
        node: Any = config
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = text
    if left := hidden_keys(config):
        raise ConfigError(f"{left[0]} is hidden in config.yaml; give it as {left[0]}=...")
    return config


def hidden_keys(config: Mapping[str, Any]) -> list[str]:
    """Return the keys, such as model.api_key, whose values a file of a config does not hold."""
    return [
        ".".join(map(str, place))
        for place, text in _texts(config)
        if HIDDEN in text and place != ("command",)
    ]


def _texts(node: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, (*place, key))
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from _texts(value, (*place, number))
    elif isinstance(node, str):
        yield place, node
