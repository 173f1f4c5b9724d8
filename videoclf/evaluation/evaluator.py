"""The multi-view evaluator: every listed video once, its views averaged, rows of all ranks joined.

The same function ends a training run and serves `evaluate.py`, whatever the task.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl

from videoclf.data.datamodule import VideoDataModule
from videoclf.evaluation.comparison import changes
from videoclf.evaluation.inference import Inference
from videoclf.evaluation.losses import VideoLosses
from videoclf.evaluation.scores import Scores

if TYPE_CHECKING:
    from videoclf.evaluation.parts import Parts
    from videoclf.reports.reconstructions import Reconstruction
    from videoclf.tasks.video_task import VideoTask


@dataclass(frozen=True)
class Evaluation:
    """What a task found in a subset, and metrics by protocol name, as `test/video_top1_10x3`.

    `scores` are those of a classification, or losses where there are no classes;
    `reconstructions` are pictures of some clips, where the task makes any. `inference` says how the
    network was run, and what that changed, see `videoclf.evaluation.comparison.changes`.
    """

    subset: str
    scores: Scores | VideoLosses
    metrics: dict[str, float]
    seconds: float
    reconstructions: tuple[Reconstruction, ...] = ()
    inference: Mapping[str, Any] = field(default_factory=dict)


def evaluate(
    trainer: pl.Trainer,
    task: VideoTask,
    datamodule: VideoDataModule,
    subset: str,
    *,
    inference: Inference | None = None,
    parts: Parts | None = None,
) -> Evaluation:
    """Test all views of all videos of a subset with the task's model as it is.

    Args:
        trainer: that runs the test.
        task: around the model.
        datamodule: of the videos and their views.
        subset: which of them.
        inference: how the model is run; None is as by default.
        parts: where finished videos are stored as it goes, and were by earlier starts.

    Raises:
        ConfigError: it cannot be run so.
        DataError: the subset is empty, or more videos are unreadable than allowed.
    """
    began = time.perf_counter()
    inference = inference or Inference()
    datamodule.test_subset = subset
    datamodule.rows(subset)
    task.check_inference(inference)
    plan = inference.prepare(
        task.model,
        datamodule,
        subset,
        precision=str(trainer.precision),
        device=trainer.strategy.root_device,
    )
    datamodule.share_frames = plan.share_frames
    task.run_as(plan)
    if parts is not None:
        task.store_in(parts)
        datamodule.tested_rows = parts.rows
    trainer.test(task, datamodule=datamodule, verbose=False)
    # joined after the loop: a hook inside it would hang where a rank has nothing to read
    found = task.evaluation(datamodule, subset, time.perf_counter() - began)
    changed = changes(found.scores) if isinstance(found.scores, Scores) else {}
    return replace(found, inference={**plan.said, **changed})
