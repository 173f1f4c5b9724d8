"""Files that are found by a URL, in torch hub's cache or fetched there."""

from __future__ import annotations

from pathlib import Path

import torch

from videoclf.weights.downloading import BROKEN, download
from videoclf.weights.hashes import hash_in
from videoclf.weights.sources import Name, not_here


def from_torch_hub(name: Name, url: str) -> Path:
    """Return the file of a URL, fetched and held against the hash in its name if need be.

    Raises:
        CheckpointError: it is not there and cannot be fetched.
        StorageError: it cannot be written.
    """
    place = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not place.is_file():
        try:
            download(url, place, sha256=hash_in(url))
        except BROKEN as error:
            reason = getattr(error, "reason", error)
            raise not_here(str(name), url=url, place=place, reason=reason) from error
    return place
