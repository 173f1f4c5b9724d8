"""Read annotation files in JSON, each item of a list with the line where it begins."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videoclf.data.formats.annotation_lines import decode
from videoclf.errors import ConfigError


def read_json(path: Path) -> Any:
    """Return the content of a file.

    Raises:
        ConfigError: it is not UTF-8 or not JSON; its text names the line.
    """
    try:
        return json.loads(decode(path))
    except json.JSONDecodeError as error:
        raise _not_json(path, error) from error


def read_items(path: Path, keys: tuple[str, ...]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the objects of a list, and `file:line` of each.

    Args:
        path: the file.
        keys: that each object must have.

    Raises:
        ConfigError: not UTF-8, not a list of objects, or a key is missing.
    """
    text = decode(path)
    line_at = _line_finder(text)
    decoder = json.JSONDecoder()
    items, places = [], []
    position = _skip(text, 0)
    if text[position : position + 1] != "[":
        raise ConfigError(f"{path}:{line_at(position)}: not a list; write [{{...}}, {{...}}]")
    position = _skip(text, position + 1)
    while text[position : position + 1] != "]":
        try:
            item, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise _not_json(path, error) from error
        where = f"{path}:{line_at(position)}"
        missing = [key for key in keys if not isinstance(item, dict) or key not in item]
        if missing:
            raise ConfigError(
                f"{where}: no {missing[0]!r} in {text[position:end][:80]}; an item has "
                f"{', '.join(keys)}"
            )
        items.append(item)
        places.append(where)
        position = _skip(text, end)
        if text[position : position + 1] == ",":
            position = _skip(text, position + 1)
        elif text[position : position + 1] != "]":
            raise ConfigError(f"{path}:{line_at(position)}: no ',' or ']' after an item; mend it")
    return items, places


def _not_json(path: Path, error: json.JSONDecodeError) -> ConfigError:
    return ConfigError(f"{path}:{error.lineno}: not JSON: {error.msg}; mend the file")


def _skip(text: str, position: int) -> int:
    while text[position : position + 1].isspace():
        position += 1
    return position


def _line_finder(text: str) -> Callable[[int], int]:
    ends = [index for index, character in enumerate(text) if character == "\n"]
    return lambda position: bisect_right(ends, position - 1) + 1
