"""What a cell's folder holds: finished attempts, and the figures of the one that counts."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from videoclf.ladder.attempts import Attempt, Outcome, chosen
from videoclf.ladder.scoring import tied_accuracy
from videoclf.ladder.strategies import Strategy
from videoclf.ladder.tasks import Column


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A strategy on a task from one seed.

    Args:
        strategy: the row.
        column: the task.
        seed: of the run: weights, and the order of the clips.
    """

    strategy: Strategy
    column: Column
    seed: int

    def folder(self, output: Path) -> Path:
        """Return where its attempts lie."""
        return output / self.column.name / self.strategy.folder_name / f"seed{self.seed}"

    def overrides(self, attempt: Attempt) -> list[str]:
        """Return what `train.py` takes for an attempt."""
        return [
            "data=ladder",
            *self.column.overrides,
            *self.strategy.overrides,
            f"seed={self.seed}",
            f"optimizer.learning_rate={attempt.rate:g}",
            f"trainer.max_epochs={attempt.epochs}",
            "early_stopping.target=1.0",  # of validation, which nothing can better
            "trainer=cpu",
            "data.num_workers=0",
        ]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of a cell.

    Args:
        test: accuracy over the test clips, tied scores shared.
        num_clips: of the test.
        val: over the validation clips.
        train: over the training clips of the last epoch, while it learnt.
        attempt: which of the attempts counts.
        num_attempts: how many were made.
        seconds: training of the attempt that counts, wall time.
        num_steps: of its optimiser.
    """

    test: float
    num_clips: int
    val: float
    train: float
    attempt: Attempt
    num_attempts: int
    seconds: float
    num_steps: int

    @property
    def seconds_a_step(self) -> float:
        """Wall time of a training step, with its share of loading and validation."""
        return self.seconds / self.num_steps


def read_outcomes(folder: Path) -> list[Outcome]:
    """Return the finished attempts of a cell, shortest first."""
    outcomes = []
    for results in sorted(folder.glob("rate*_epochs*/results.json")):
        rate, _, epochs = results.parent.name.removeprefix("rate").partition("_epochs")
        val = max(_column(results.parent, "val/video_top1_1x1"))
        outcomes.append(Outcome(Attempt(int(epochs), float(rate)), val))
    return sorted(outcomes, key=lambda outcome: outcome.attempt)


def measure(folder: Path) -> Measured | None:
    """Return the figures of a cell, or None before its first attempt has ended."""
    outcomes = read_outcomes(folder)
    if not outcomes:
        return None
    best = chosen(outcomes)
    run = folder / best.attempt.folder_name
    table = pq.read_table(run / "predictions.parquet")
    probabilities = np.array(table["probabilities"].to_pylist(), np.float64)  # (N, K)
    labels = np.array(table["label"].to_pylist())
    timing = json.loads((run / "results.json").read_text(encoding="utf-8"))["timing"]
    return Measured(
        test=tied_accuracy(probabilities, labels),
        num_clips=len(labels),
        val=best.val,
        train=_column(run, "train/clip_top1")[-1],
        attempt=best.attempt,
        num_attempts=len(outcomes),
        seconds=timing["train_seconds"],
        num_steps=int(max(_column(run, "step"))) + 1,
    )


def all_cells(
    strategies: Sequence[Strategy], columns: Sequence[Column], seeds: Sequence[int]
) -> list[Cell]:
    """Return the cells of a ladder: task after task of the first seed, then of the next."""
    return [
        Cell(strategy=strategy, column=column, seed=seed)
        for seed in seeds
        for column in columns
        for strategy in strategies
    ]


def _column(run: Path, name: str) -> list[float]:
    with (run / "metrics.csv").open(encoding="utf-8") as lines:
        return [float(row[name]) for row in csv.DictReader(lines) if row.get(name)]
