"""Files that are found by a URL, in torch hub's cache or through torch hub."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import URLError

import torch

from videoclf.weights.sources import Name, not_here


def from_torch_hub(name: Name, url: str) -> Path:
    """Return the file of a URL, downloaded and held against the hash in its name if need be.

    Raises:
        CheckpointError: it is not there and cannot be fetched.
    """
    place = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(place), hash_in(url), progress=False)
        except (URLError, OSError, RuntimeError) as error:
            reason = getattr(error, "reason", error)
            raise not_here(str(name), url=url, place=place, reason=reason) from error
    return place


def hash_in(url: str) -> str | None:
    """Return the beginning of the SHA-256 that names of published files often end in.

    After a hyphen, as torch hub has it: PyTorchVideo's MVIT_B_32x3_f294077834.pyth has none.
    """
    found = re.search(r"-([0-9a-f]{8,64})\.[a-z]+$", url)
    return found.group(1) if found else None
