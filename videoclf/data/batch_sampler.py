"""Which records a rank reads, in which order: a pure function of (seed, epoch, rank).

Both samplers yield lists of (epoch, index) pairs, so that a sample's augmentation depends on these
and not on the worker that happens to draw it. `index` is a row of the manifest. Multigrid training
adds the shape of the clip, the same in a whole step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from videoclf.data.balance import Reads
from videoclf.errors import ConfigError
from videoclf.multigrid import MultigridPlan
from videoclf.types import ClipShape, SampleKey

#: A video that an epoch reads again gets the chance of an epoch so much later, never reached:
#: another clip, another augmentation.
COPIES_APART = 1_000_000


class TrainBatches:
    """Shuffled batches; the global batch of a step is the same for any number of ranks.

    Args:
        rows: int64 (N,), rows of the manifest.
        batch_size: videos a rank and step.
        seed: of the run.
        rank: this process.
        world: number of processes.
        reads: how often an epoch reads each row; None reads each once.
        passes: batches that each step accumulates; an epoch has whole steps only.
        plan: which shape and how many videos each step has; None gives all of them the same.

    Raises:
        ConfigError: fewer videos than one global batch.
    """

    def __init__(
        self,
        rows: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        rank: int,
        world: int,
        reads: Reads | None = None,
        passes: int = 1,
        plan: MultigridPlan | None = None,
    ) -> None:
        if len(rows) < batch_size * world:
            raise ConfigError(
                f"data.batch_size={batch_size} on {world} rank(s) is more than the {len(rows)} "
                f"training videos; set data.batch_size to {len(rows) // world or 1} or less"
            )
        if len(rows) < batch_size * world * passes:
            raise ConfigError(
                f"a step of {batch_size * world * passes} videos is more than the {len(rows)} "
                f"training videos; set data.global_batch_size to {len(rows)} or less"
            )
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world = world
        self.reads = reads
        self.passes = passes
        self.plan = plan
        self.epoch = 0
        self._start = (0, 0)

    @property
    def sampler(self) -> TrainBatches:
        """Itself: Lightning looks for `set_epoch` at `batch_sampler.sampler`."""
        return self

    @property
    def most_videos(self) -> int:
        """Videos of this rank in the largest step; a schedule of shapes begins with such."""
        return self.batch_size * max(scale for scale, _ in self._steps())

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; called before every epoch."""
        self.epoch = epoch

    def start_at(self, epoch: int, batch: int) -> None:
        """Leave out the batches of an epoch before `batch`; a resumed run has read them.

        The length stays that of a whole epoch.
        """
        self.epoch, self._start = epoch, (epoch, batch)

    def __len__(self) -> int:
        return len(list(self._steps())) * self.passes

    def __iter__(self) -> Iterator[list[SampleKey]]:
        generator = np.random.default_rng((self.seed, self.epoch))
        if self.reads is None:
            places, before = generator.permutation(len(self.rows)), np.zeros(len(self.rows), int)
        else:
            places, before = self.reads.draw(generator)
        rows, epochs = self.rows[places], self.epoch + COPIES_APART * before
        first_batch = self._start[1] if self.epoch == self._start[0] else 0
        batch = first = 0
        for scale, shape in self._steps():
            size = scale * self.batch_size
            for _ in range(self.passes):
                own = slice(first + self.rank * size, first + (self.rank + 1) * size)
                if batch >= first_batch:
                    yield _keys(epochs[own].tolist(), rows[own].tolist(), shape)
                first += size * self.world
                batch += 1

    def _steps(self) -> Iterable[tuple[int, ClipShape | None]]:
        """Videos of each step of this epoch, in multiples of the plain ones, and their shape."""
        if self.plan is not None:
            return self.plan.steps(self.epoch)
        count = len(self.rows) // (self.batch_size * self.world * self.passes)
        return itertools.repeat((1, None), count)


def _keys(epochs: list[int], rows: list[int], shape: ClipShape | None) -> list[SampleKey]:
    if shape is None:
        return list(zip(epochs, rows, strict=True))
    return [(epoch, row, shape) for epoch, row in zip(epochs, rows, strict=True)]


class EvalBatches:
    """Every record once over all ranks, without padding: rank r reads rows r, r + world, ...

    A rank that would be left with nothing reads one row of rank 0 again, so that it takes part in
    the evaluation's hooks; results are joined by row, which drops the repeat.
    """

    def __init__(self, rows: np.ndarray, *, batch_size: int, rank: int, world: int) -> None:
        own = rows[rank::world]
        self.rows = own if len(own) else rows[:1]
        self.batch_size = batch_size

    @property
    def most_videos(self) -> int:
        """Videos of a batch."""
        return self.batch_size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        for first in range(0, len(self.rows), self.batch_size):
            yield [(0, int(row)) for row in self.rows[first : first + self.batch_size]]
