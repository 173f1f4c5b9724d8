"""What a rank has scored so far: in memory, and in files that a killed evaluation goes on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from videoclf.evaluation.parts import Parts
from videoclf.evaluation.scores import ShardScores
from videoclf.types import Unreadable


class Collected:
    """Collects the predictions of videos until they are taken.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.parts: Parts | None = None  # where they are stored as it goes, if anywhere
        self._shards: list[ShardScores] = []  # stored already
        self._unreadable: list[Unreadable] = []
        self._forget_new()

    def miss(self, unreadable: Sequence[Unreadable]) -> None:
        """Note videos that could not be read; they are tried again by whoever goes on."""
        self._unreadable += unreadable

    def add(
        self,
        rows: torch.Tensor,
        probabilities: torch.Tensor,
        columns: Mapping[str, torch.Tensor],
    ) -> None:
        """Keep predictions of some videos, all on the CPU.

        Args:
            rows: int64 (n,), of the manifest.
            probabilities: float32 (n, K).
            columns: what else is known, (n, ...) by name, see `Scores`.
        """
        self._rows.append(rows)
        self._probabilities.append(probabilities)
        for name, values in columns.items():
            self._columns.setdefault(name, []).append(values)
        if self.parts is not None and self.parts.is_due():
            self._store(self.parts)

    def take(self) -> list[ShardScores]:
        """Return and forget everything; with it, on rank 0, what earlier starts have left."""
        earlier = () if self.parts is None else self.parts.earlier
        taken = [*earlier, *self._shards, self._new(tuple(self._unreadable))]
        self._shards, self._unreadable, self.parts = [], [], None
        self._forget_new()
        return taken

    def _store(self, parts: Parts) -> None:
        shard = self._new(())
        parts.save(shard)
        self._shards.append(shard)
        self._forget_new()

    def _new(self, unreadable: tuple[Unreadable, ...]) -> ShardScores:
        if not self._rows:
            none = torch.zeros(0, dtype=torch.int64)
            return ShardScores(none, torch.zeros(0, self.num_classes), unreadable)
        columns = {name: torch.cat(values) for name, values in self._columns.items()}
        rows, probabilities = torch.cat(self._rows), torch.cat(self._probabilities)
        return ShardScores(rows, probabilities, unreadable, columns)

    def _forget_new(self) -> None:
        self._rows: list[torch.Tensor] = []
        self._probabilities: list[torch.Tensor] = []
        self._columns: dict[str, list[torch.Tensor]] = {}
