"""A checkpoint as a file: one zip archive with a description inside and a hash as its comment.

`torch.load(path, weights_only=True)` reads it as it is. The description (resolved config, classes,
manifest hash, versions) can be read without torch, and damage is found before anything is loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoclf.cache import atomic_write
from videoclf.errors import CheckpointError, StorageError

_ENTRY = "archive/videoclf.json"  # torch wants every file of the archive below this folder
_PREFIX = b"sha256:"
_COMMENT_BYTES = len(_PREFIX) + 64


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


def verify(path: Path) -> None:
    """Hold a file against its own hash.

    Raises:
        CheckpointError: it is missing, no checkpoint of ours, or damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; give the path of a .ckpt file")
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


def describe(path: Path) -> dict[str, Any]:
    """Verify a file and return its description.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    verify(path)
    with zipfile.ZipFile(path) as archive:
        description: dict[str, Any] = json.loads(archive.read(_ENTRY))
    return description
