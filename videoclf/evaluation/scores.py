"""Video scores, joined by row of the manifest: each listed video once, missing ones said to be so.

Every rank writes what it evaluated; joining drops repeats and finds what nobody evaluated. So the
result is the same on one process or many.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.distributed

from videoclf.types import Unreadable


@dataclass(frozen=True)
class ShardScores:
    """What one rank evaluated.

    Args:
        rows: int64 (n,), rows of the manifest.
        probabilities: float32 (n, K).
        unreadable: records that could not be read.
    """

    rows: torch.Tensor
    probabilities: torch.Tensor
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True)
class Scores:
    """All listed videos of a subset, in the order of the manifest.

    Args:
        rows: int64 (N,), rows of the manifest, ascending.
        labels: int64 (N,).
        probabilities: float32 (N, K); rows of missing videos are NaN.
        available: bool (N,).
        unreadable: the missing ones that were tried, with the reason.
    """

    rows: torch.Tensor
    labels: torch.Tensor
    probabilities: torch.Tensor
    available: torch.Tensor
    unreadable: tuple[Unreadable, ...]

    @property
    def num_missing(self) -> int:
        """Listed videos without a prediction."""
        return int((~self.available).sum())


def join(
    shards: Iterable[ShardScores], *, rows: np.ndarray, labels: np.ndarray, num_classes: int
) -> Scores:
    """Join shards by row.

    Args:
        shards: of all ranks, in any order; a row may stand in two of them.
        rows: int64 (N,), the listed rows, ascending.
        labels: int64 (N,), of the listed rows.
        num_classes: K.
    """
    probabilities = torch.full((len(rows), num_classes), float("nan"))
    available = torch.zeros(len(rows), dtype=torch.bool)
    unreadable: dict[int, Unreadable] = {}
    for shard in shards:
        places = torch.from_numpy(np.searchsorted(rows, shard.rows.numpy()))
        probabilities[places] = shard.probabilities
        available[places] = True
        unreadable.update({record.index: record for record in shard.unreadable})
    return Scores(
        rows=torch.tensor(rows),
        labels=torch.tensor(labels),
        probabilities=probabilities,
        available=available,
        unreadable=tuple(unreadable[index] for index in sorted(unreadable)),
    )


Shard = TypeVar("Shard")


def gather(shard: Shard) -> list[Shard]:
    """Return the shards of all ranks, on every rank; without a process group, just this one."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [shard]
    shards: list[Shard | None] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shards, shard)
    return [each for each in shards if each is not None]
