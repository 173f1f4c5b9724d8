"""Whether the content of a video is what its manifest says: sha256, found once and remembered.

Damaged bytes can decode to wrong pictures without a sign of it; the hash finds all of them. What
was found right is noted in the user's cache folder by path, hash, size and time of change, so that
later epochs and runs only look at the file's status.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal

from videoclf.cache import cache_folder
from videoclf.errors import UnreadableVideoError
from videoclf.readers.safety import file_status

#: When a file is hashed: at its first opening, at every opening, never.
HashCheck = Literal["once", "always", "never"]

_BLOCK_BYTES = 1 << 20


def check_content(path: str, sha256: str, *, remember: bool) -> None:
    """Refuse a video whose content is not what it was.

    Args:
        path: a file, or a folder of pictures.
        sha256: of its content, hexadecimal.
        remember: note that it is right, and do not read it again while size and time of change
            stay as they are.

    Raises:
        UnreadableVideoError: the content has another hash, or cannot be read.
    """
    note = _note(path, sha256) if remember else None
    if note is not None and note.exists():
        return
    found = hash_content(path)
    if found != sha256:
        what = f"sha256 {found[:12]}, not {sha256[:12]}"
        reason = f"its content is not what the manifest says ({what}); replace the file"
        raise UnreadableVideoError(path, reason)
    if note is not None:
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()
        except OSError:
            return  # a cache that cannot be written costs time at the next opening, nothing else


def hash_content(path: str) -> str:
    """Return the sha256 of a file, or of the hashes of a folder's files in order of their names.

    Raises:
        UnreadableVideoError: it cannot be read.
    """
    if not Path(path).is_dir():
        file_status(path)  # a FIFO would never end
        return hash_file(path)
    digest = hashlib.sha256()
    for name in sorted(os.listdir(path)):
        digest.update(hash_file(str(Path(path, name))).encode())
    return digest.hexdigest()


def hash_file(path: str) -> str:
    """Return the sha256 of a file's content, hexadecimal.

    Raises:
        UnreadableVideoError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise UnreadableVideoError(path, f"cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def _note(path: str, sha256: str) -> Path:
    """Return the file that says so; files below a folder each count with size and time."""
    place = Path(path)
    key = [str(place.absolute()), sha256]
    if place.is_dir():
        with os.scandir(place) as entries:
            states = sorted((entry.name, entry.stat()) for entry in entries)
    else:
        states = [("", file_status(path))]
    key += [f"{name} {status.st_size} {status.st_mtime_ns}" for name, status in states]
    name = hashlib.sha256("\0".join(key).encode("utf-8", "surrogateescape")).hexdigest()[:40]
    return cache_folder() / "verified" / name[:2] / name[2:]
