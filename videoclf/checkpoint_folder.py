"""A sharded checkpoint: a folder, written by all ranks, with a file of tensors of each.

    last.ckpt/
      index.ckpt            what is no tensor, the shapes of tensors, size and hash of each file
      rank_0.safetensors    rank 0's share of the weights and the optimiser's state
      rank_1.safetensors

The index is a file of `videoclf.checkpoint_file`, and its hash covers the other files by theirs.
Such a folder is made under a hidden name and renamed when it is whole. A folder cannot be renamed
over another one: the one before steps aside as `last.replaced.ckpt`, a checkpoint like any other,
and a run that was killed right then finds it.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videoclf.cache import sync_folder
from videoclf.errors import CheckpointError
from videoclf.weights.hashes import sha256_of

INDEX = "index.ckpt"
_REPLACED = ".replaced.ckpt"
_SHARD = re.compile(r"rank_(\d+)\.safetensors")


def shard_name(rank: int) -> str:
    """Return the name of a rank's file."""
    return f"rank_{rank}.safetensors"


def hidden_name(path: Path) -> Path:
    """Return a new name beside `path`, for what is not whole; a later command sweeps it away."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def check_shards(
    folder: Path, shards: Sequence[Mapping[str, Any]], *, share: tuple[int, int] = (0, 1)
) -> None:
    """Hold the files of a folder against its index.

    Args:
        folder: of the checkpoint.
        shards: name, bytes and sha256 of each file.
        share: (rank, world): hash only every world-th file, the others are for other ranks.

    Raises:
        CheckpointError: one is missing, cut short, or altered; the text names it.
    """
    for number, shard in enumerate(shards):
        known = isinstance(shard, Mapping) and {"name", "bytes", "sha256"} <= shard.keys()
        if not known or not _SHARD.fullmatch(str(shard["name"])):
            raise CheckpointError(f"{folder} names {shard} as a part of it; it is not loaded")
        path = folder / shard["name"]
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; take another checkpoint of the run")
        size = path.stat().st_size
        if size != shard["bytes"]:
            raise CheckpointError(
                f"{path} is damaged: it has {size} bytes instead of {shard['bytes']}; "
                "take another checkpoint of the run"
            )
        if number % share[1] == share[0] and sha256_of(path) != shard["sha256"]:
            raise CheckpointError(
                f"{path} is damaged: its content does not match its hash; "
                "take another checkpoint of the run"
            )


def put_in_place(made: Path, path: Path) -> None:
    """Let a folder that is whole take the place of what is at `path`, if anything is.

    At every moment one of both is there under a name that ends in `.ckpt`.
    """
    sync_folder(made)
    replaced = path.with_name(path.stem + _REPLACED)
    if path.exists():
        remove(replaced)
        path.rename(replaced)
    made.rename(path)
    sync_folder(path.parent)
    remove(replaced)


def remove(path: Path) -> None:
    """Delete a checkpoint, file or folder, if it is there; never half of it under its name."""
    if path.is_dir():
        hidden = hidden_name(path)
        path.rename(hidden)
        shutil.rmtree(hidden)
    else:
        path.unlink(missing_ok=True)


def recover(folder: Path) -> None:
    """Put back what had stepped aside when the run was killed, where nothing has replaced it."""
    for aside in folder.glob(f"*{_REPLACED}"):
        path = aside.with_name(aside.name.removesuffix(_REPLACED) + ".ckpt")
        if path.exists():
            remove(aside)
        else:
            aside.rename(path)


def size_of(path: Path) -> int:
    """Return the bytes of a checkpoint, file or folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)
