"""Finished videos of an evaluation on disk, so that a killed one goes on where it was.

`<run folder>/parts` holds files of a few videos each, keyed by their rows of the manifest: written
whole or not at all, sealed by a hash, and with the identity of their evaluation inside
(`videoclf.resume_evaluation`). They are taken away when the results are written.
"""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videoclf import checkpoint_file, checkpoints
from videoclf.evaluation.scores import ShardScores


class Parts:
    """The parts of one rank, and what earlier starts have left.

    Args:
        folder: of the parts.
        identity: of the evaluation, by what it consists of.
        every_seconds: how often what is new is stored; None never stores.
        rank: this process; only rank 0 brings in what earlier starts have left.
        finished: file that lists the whole parts of earlier starts; None where there are none.
    """

    def __init__(
        self,
        folder: Path,
        *,
        identity: Mapping[str, str],
        every_seconds: float | None,
        rank: int,
        finished: Path | None,
    ) -> None:
        self.folder = folder
        self.identity = identity
        self.every_seconds = every_seconds
        self.rank = rank
        listed: dict[str, Any] = {"start": 0, "parts": []}
        if finished is not None:
            listed = json.loads(finished.read_text(encoding="utf-8"))
        self._start: int = listed["start"]
        shards = [read_part(folder / name) for name in listed["parts"]]
        self.rows: np.ndarray = np.unique(
            np.concatenate([np.zeros(0, np.int64), *(shard.rows.numpy() for shard in shards)])
        )
        self.earlier = tuple(shards) if rank == 0 else ()
        self._number = 0
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether the last part is old enough for a next one."""
        age = time.monotonic() - self._last
        return self.every_seconds is not None and age >= self.every_seconds

    def save(self, shard: ShardScores) -> None:
        """Write a part.

        Raises:
            StorageError: there is no room.
        """
        archive = io.BytesIO()
        torch.save(
            {
                "rows": shard.rows,
                "probabilities": shard.probabilities,
                "columns": dict(shard.columns),
            },
            archive,
        )
        name = f"{self._start:03d}-{self.rank:04d}-{self._number:06d}.part"
        checkpoint_file.write(archive, self.folder / name, {"identity": dict(self.identity)})
        self._number += 1
        self._last = time.monotonic()

    def remove(self) -> None:
        """Take the parts away; on rank 0, once the results are written."""
        shutil.rmtree(self.folder, ignore_errors=True)


def read_part(path: Path) -> ShardScores:
    """Read a part.

    Raises:
        CheckpointError: it is damaged.
    """
    content = checkpoints.read_sealed(path)
    return ShardScores(content["rows"], content["probabilities"], (), content["columns"])
