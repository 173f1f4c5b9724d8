"""Files against the hashes that their publishers give."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from videoclf.errors import CheckpointError


def sha256_of(path: Path) -> str:
    """Return the hash of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def check_hash(path: Path, expected: str | None) -> None:
    """Hold a file against a hash, or the beginning of one.

    Raises:
        CheckpointError: it differs.
    """
    if expected is None:
        return
    found = sha256_of(path)
    if not found.startswith(expected.lower()):
        raise CheckpointError(
            f"{path} has the SHA-256 {found[:16]}..., and its publisher says {expected[:16]}...; "
            "delete it and fetch it again"
        )


def hash_in(url: str) -> str | None:
    """Return the beginning of the SHA-256 that names of published files often end in.

    After a hyphen, as torch hub has it: PyTorchVideo's MVIT_B_32x3_f294077834.pyth has none.
    """
    found = re.search(r"-([0-9a-f]{8,64})\.[a-z]+$", url)
    return found.group(1) if found else None
