"""Features of frames or clips on disk: what a frozen network has computed is only read again.

An entry is found by the content of its frame and by the weights of the network, so it can be stale
by no mistake: the same video, frame and crop give the same pixels, another crop or a flip others.
Several processes may share a file.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

#: How long one process waits while another one writes.
_WAIT_SECONDS = 60.0
_KEYS_AT_ONCE = 500  # below SQLite's limit of values in a statement


class FeatureStore:
    """An SQLite file of features by frame.

    Args:
        path: the file; made, with its folder, where it is missing.
        key: of the config, which named it.

    Raises:
        ValueError: it cannot be opened, or is no such file.
    """

    def __init__(self, path: Path, *, key: str = "model.feature_cache") -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=_WAIT_SECONDS)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, shape TEXT, "
                "content BLOB) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise ValueError(
                f"{key}={path} cannot be used: {error}; name another file, or null for none"
            ) from error

    def __deepcopy__(self, memo: object) -> FeatureStore:
        """Share the file: a copied model, such as an average of weights, has the same network."""
        return self

    def features(
        self,
        frames: torch.Tensor,
        network: str,
        compute: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Return the features of frames (N, ...) -> (N, ...), computing those that are not there.

        Args:
            frames: what the network is given.
            network: hash of the network, see `hash_weights`.
            compute: frames -> features, for those of the frames that are new.
        """
        mixed = torch.is_autocast_enabled(frames.device.type)
        kind = f"{network} {frames.dtype} {tuple(frames.shape[1:])} {mixed}".encode()
        secret = hashlib.sha256(kind).digest()
        content = frames.detach().cpu().contiguous().flatten(1).view(torch.uint8).numpy()
        keys = [hashlib.blake2b(frame, key=secret, digest_size=20).digest() for frame in content]
        found = self._read(set(keys))
        new = {key: place for place, key in enumerate(keys) if key not in found}
        if new:
            computed = compute(frames[list(new.values())]).float().cpu().numpy()
            found |= dict(zip(new, computed, strict=True))
            self._write({key: found[key] for key in new})
        stacked = np.stack([found[key] for key in keys])
        return torch.from_numpy(stacked).to(frames.device)

    def _read(self, keys: set[bytes]) -> dict[bytes, np.ndarray]:
        found: dict[bytes, np.ndarray] = {}
        ordered = sorted(keys)
        for first in range(0, len(ordered), _KEYS_AT_ONCE):
            few = ordered[first : first + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(few))
            query = f"SELECT key, shape, content FROM features WHERE key IN ({marks})"
            for key, shape, content in self._database.execute(query, few):
                sides = tuple(int(side) for side in shape.split())
                found[key] = np.frombuffer(content, dtype=np.float32).reshape(sides)
        return found

    def _write(self, features: dict[bytes, np.ndarray]) -> None:
        rows = [
            (key, " ".join(map(str, value.shape)), np.ascontiguousarray(value).tobytes())
            for key, value in features.items()
        ]
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO features VALUES (?, ?, ?)", rows)


def hash_weights(network: nn.Module) -> str:
    """Return a hash of a network's class and of all its parameters and buffers."""
    digest = hashlib.sha256(repr(network).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
