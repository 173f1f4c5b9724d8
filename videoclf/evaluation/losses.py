"""Losses by video, joined by row of the manifest: what a test without classes measures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from videoclf.types import Unreadable


@dataclass(frozen=True)
class ShardLosses:
    """What one rank measured.

    Args:
        rows: int64 (n,), rows of the manifest.
        losses: float32 (n,).
        unreadable: records that could not be read.
    """

    rows: torch.Tensor
    losses: torch.Tensor
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True)
class VideoLosses:
    """All listed videos of a subset, in the order of the manifest.

    Args:
        rows: int64 (N,), rows of the manifest, ascending.
        losses: float32 (N,); those of missing videos are NaN.
        unreadable: the missing ones that were tried, with the reason.
    """

    rows: torch.Tensor
    losses: torch.Tensor
    unreadable: tuple[Unreadable, ...]

    @property
    def num_missing(self) -> int:
        """Listed videos without a loss."""
        return int(self.losses.isnan().sum())

    @property
    def mean(self) -> float:
        """Mean over the videos that could be read."""
        return float(self.losses.nanmean())


def join_losses(shards: Iterable[ShardLosses], *, rows: np.ndarray) -> VideoLosses:
    """Join shards by row.

    Args:
        shards: of all ranks, in any order; a row may stand in two of them.
        rows: int64 (N,), the listed rows, ascending.
    """
    losses = torch.full((len(rows),), float("nan"))
    unreadable: dict[int, Unreadable] = {}
    for shard in shards:
        losses[torch.from_numpy(np.searchsorted(rows, shard.rows.numpy()))] = shard.losses
        unreadable.update({record.index: record for record in shard.unreadable})
    return VideoLosses(
        rows=torch.tensor(rows),
        losses=losses,
        unreadable=tuple(unreadable[index] for index in sorted(unreadable)),
    )
