"""Weights in several files: the index beside them, which says what is where. No torch here.

transformers writes networks above a size as model-00001-of-00002.safetensors and so on, with
model.safetensors.index.json, whose `weight_map` names the file of each tensor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from videoclf.errors import CheckpointError

#: How the name of an index ends.
INDEX = ".safetensors.index.json"


def is_index(path: Path) -> bool:
    """Whether a file is an index, by its name."""
    return path.name.endswith(INDEX)


def read_index(path: Path) -> Mapping[str, tuple[str, ...]]:
    """Read which tensors are in which file: file -> names, in the order of the index.

    Raises:
        CheckpointError: it is no index, or names files elsewhere than beside it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read the index {path}: {error}") from error
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{path} is no index: it has no `weight_map` from tensors to files")
    shards: dict[str, list[str]] = {}
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file or "\\" in file:
            raise CheckpointError(
                f"{path} puts {name} into {file!r}; the files of an index stand beside it"
            )
        if not file.endswith(".safetensors"):
            raise CheckpointError(f"{path} puts {name} into {file!r}, which is no .safetensors")
        shards.setdefault(file, []).append(name)
    return {file: tuple(names) for file, names in shards.items()}


def missing_shards(path: Path) -> tuple[str, ...]:
    """Return the files of an index that are not beside it."""
    return tuple(file for file in read_index(path) if not (path.parent / file).is_file())
