"""Video scores, joined by row of the manifest: each listed video once, missing ones said to be so.

Every rank writes what it evaluated; joining drops repeats and finds what nobody evaluated. So the
result is the same on one process or many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
        columns: what else is known of each video, (n, ...) by name, see `Scores`.
    """

    rows: torch.Tensor
    probabilities: torch.Tensor
    unreadable: tuple[Unreadable, ...]
    columns: Mapping[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """All listed videos of a subset, in the order of the manifest.

    Args:
        rows: int64 (N,), rows of the manifest, ascending.
        labels: int64 (N,); of a task of several labels bool (N, K).
        probabilities: float32 (N, K); rows of missing videos are NaN.
        available: bool (N,).
        unreadable: the missing ones that were tried, with the reason.
        columns: what else is known, by name: `ranks` int32 (N, clips), how many classes come before
            the true one after the first 1, 2, ... clips in `clip_order`; `seconds` and `motion`
            float32 (N,), as of `Sample`; `views` float32 (N, V, K), each view's own probabilities,
            where they are kept. Missing videos have -1 or NaN.
    """

    rows: torch.Tensor
    labels: torch.Tensor
    probabilities: torch.Tensor
    available: torch.Tensor
    unreadable: tuple[Unreadable, ...]
    columns: Mapping[str, torch.Tensor] = field(default_factory=dict)

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
        labels: int64 (N,), or bool (N, K), of the listed rows.
        num_classes: K.
    """
    probabilities = torch.full((len(rows), num_classes), float("nan"))
    available = torch.zeros(len(rows), dtype=torch.bool)
    unreadable: dict[int, Unreadable] = {}
    columns: dict[str, torch.Tensor] = {}
    for shard in shards:
        places = torch.from_numpy(np.searchsorted(rows, shard.rows.numpy()))
        probabilities[places] = shard.probabilities
        available[places] = True
        for name, values in shard.columns.items():
            if name not in columns:
                missing = float("nan") if values.is_floating_point() else -1
                shape = (len(rows), *values.shape[1:])
                columns[name] = torch.full(shape, missing, dtype=values.dtype)
            columns[name][places] = values
        unreadable.update({record.index: record for record in shard.unreadable})
    return Scores(
        rows=torch.tensor(rows),
        labels=torch.tensor(labels),
        probabilities=probabilities,
        available=available,
        unreadable=tuple(unreadable[index] for index in sorted(unreadable)),
        columns=columns,
    )


def true_class_ranks(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Count the classes that come before the true one: top-k is right where fewer than k do.

    Of equally probable classes the first comes first, as `argmax` has it.

    Args:
        probabilities: float (..., K).
        labels: int64 (...).

    Returns:
        int32 (...).
    """
    own = probabilities.gather(-1, labels[..., None])  # (..., 1)
    earlier = torch.arange(probabilities.shape[-1], device=labels.device) < labels[..., None]
    before = (probabilities > own) | ((probabilities == own) & earlier)
    return before.sum(-1).int()


Shard = TypeVar("Shard")


def gather(shard: Shard) -> list[Shard]:
    """Return the shards of all ranks, on every rank; without a process group, just this one."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [shard]
    shards: list[Shard | None] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shards, shard)
    return [each for each in shards if each is not None]
