"""The multi-view evaluator: every listed video once, its views averaged, rows of all ranks joined.

The same function ends a training run and serves `evaluate.py`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytorch_lightning as pl

from videoclf.data.datamodule import VideoDataModule
from videoclf.evaluation.metrics import video_metrics
from videoclf.evaluation.scores import Scores, gather, join
from videoclf.tasks.classification import VideoClassification, unreadable_error


@dataclass(frozen=True)
class Evaluation:
    """Scores of a subset and their metrics by protocol name, such as `test/video_top1_10x3`."""

    subset: str
    scores: Scores
    metrics: dict[str, float]
    seconds: float


def evaluate(
    trainer: pl.Trainer, task: VideoClassification, datamodule: VideoDataModule, subset: str
) -> Evaluation:
    """Score all views of all videos of a subset with the task's model as it is.

    Raises:
        DataError: the subset is empty, or more videos are unreadable than allowed.
    """
    began = time.perf_counter()
    datamodule.test_subset = subset
    rows, labels = datamodule.listed(subset)
    trainer.test(task, datamodule=datamodule, verbose=False)
    # joined after the loop: a hook inside it would hang where a rank has nothing to read
    shards = gather(task.take_scores())
    scores = join(shards, rows=rows, labels=labels, num_classes=task.num_classes)
    if scores.num_missing > task.max_unreadable:
        raise unreadable_error(scores.unreadable, task.max_unreadable)
    metrics = video_metrics(
        scores, num_classes=task.num_classes, protocol=datamodule.views["test"].name
    )
    named = {f"{subset}/{name}": value for name, value in metrics.items()}
    return Evaluation(subset, scores, named, time.perf_counter() - began)
