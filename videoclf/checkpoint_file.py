"""A checkpoint as a file: one zip archive with a description inside and a hash as its comment.

`torch.load(path, weights_only=True)` reads it as it is. The description (resolved config, classes,
manifest hash, versions) can be read without torch, and damage is found before anything is loaded.
What is read here may also be a folder, with such a file as its index (`checkpoint_folder`).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoclf.cache import atomic_write
from videoclf.checkpoint_folder import INDEX, check_shards
from videoclf.errors import CheckpointError, StorageError

_ENTRY = "archive/videoclf.json"  # torch wants every file of the archive below this folder
_PREFIX = b"sha256:"
_COMMENT_BYTES = len(_PREFIX) + 64
_MOST_DESCRIPTION_BYTES = 1 << 26


def write(archive: io.BytesIO, path: Path, description: Mapping[str, Any]) -> None:
    """Seal an archive that `torch.save` made, and move it to `path` whole.

    The hash covers every byte before the comment's length field.

    Raises:
        StorageError: there is no room; what was at `path` is still there.
    """
    with zipfile.ZipFile(archive, "a") as appended:
        appended.writestr(_ENTRY, json.dumps(description, ensure_ascii=False))
    content = archive.getbuffer()[:-2]  # a zip without comment ends in its length, two zero bytes
    comment = _PREFIX + hashlib.sha256(content).hexdigest().encode()
    try:
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.write(len(comment).to_bytes(2, "little") + comment)
            file.flush()
    except OSError as error:
        needed = len(content) + 2 + len(comment)
        kept = "; the one before it is kept" if path.is_file() else ""
        raise StorageError(
            f"cannot write {path} ({needed / 1e6:.1f} MB): {error.strerror or error}{kept}; "
            "make room"
        ) from error


def verify(path: Path, *, share: tuple[int, int] = (0, 1)) -> str:
    """Hold a file against its own hash, and its archive against what torch writes.

    Returns its hash, hexadecimal; of a folder that of its index, which holds the others'.

    Args:
        path: of a checkpoint, file or folder.
        share: (rank, world), where ranks share the work: every world-th file of a folder is hashed.

    The hash finds damage, not malice: anybody can compute it. What a file may do when it is read
    is limited here, by its sizes, and by `weights_only=True` in whoever reads it.

    Raises:
        CheckpointError: it is missing, no checkpoint of ours, or damaged.
    """
    if re.match(r"\w+:/", str(path)):  # as pathlib shortens http://...
        raise CheckpointError(
            f"{path} is an address, and nothing is fetched from there; download the file, and "
            "give its path"
        )
    if path.is_dir():
        sealed = path / INDEX
        if not sealed.is_file():
            raise CheckpointError(f"{path} has no {INDEX}: it is no checkpoint; give that of a run")
        digest = verify(sealed)
        shards = read_description(sealed).get("shards")
        if not isinstance(shards, list):
            raise CheckpointError(f"{sealed} lists no files; it is not loaded")
        check_shards(path, shards, share=share)
        return digest
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; give the path of a .ckpt file")
    return _verify_file(path)


def _verify_file(path: Path) -> str:
    tail = 2 + _COMMENT_BYTES
    remaining = path.stat().st_size - tail
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while remaining > 0:
            chunk = file.read(min(remaining, 1 << 22))
            if not chunk:
                break
            digest.update(chunk)
            remaining -= len(chunk)
        comment = file.read(tail)[2:]
    if not comment.startswith(_PREFIX):
        raise CheckpointError(
            f"{path} carries no hash: it is cut short, or was not written by videoclf; "
            "take another checkpoint of the run"
        )
    if comment[len(_PREFIX) :] != digest.hexdigest().encode():
        raise CheckpointError(
            f"{path} is damaged: its content does not match its hash; "
            "take another checkpoint of the run"
        )
    _check_archive(path)
    return digest.hexdigest()


def _check_archive(path: Path) -> None:
    """Refuse an archive that would unpack to more than it is."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is no archive of torch ({error}); it is not loaded"
        ) from error
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    size = sum(entry.file_size for entry in entries)
    if packed or size > path.stat().st_size:
        raise CheckpointError(
            f"{path} would unpack to {size / 1e6:.1f} MB, and videoclf writes no packed archives; "
            "it is not loaded"
        )


def unsafe(path: Path) -> CheckpointError:
    """Return the error of a file that torch does not read with `weights_only=True`."""
    return CheckpointError(
        f"{path} holds objects other than tensors and plain values, which could run code; "
        "it is not loaded"
    )


def describe(path: Path) -> dict[str, Any]:
    """Verify a checkpoint and return its description.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    verify(path)
    return read_description(path)


def read_description(path: Path) -> dict[str, Any]:
    """Return the description of a checkpoint that has been verified.

    Raises:
        CheckpointError: it has none.
    """
    if path.is_dir():
        path = path / INDEX
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_ENTRY).file_size > _MOST_DESCRIPTION_BYTES:
                raise ValueError(f"{_ENTRY} is too long")
            description = json.loads(archive.read(_ENTRY))
        if not isinstance(description, dict):
            raise ValueError(f"{_ENTRY} is no mapping")
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} has no description of videoclf's ({error}); it is not loaded"
        ) from error
    return description
