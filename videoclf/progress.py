"""What a person sees while a run works: a bar in a terminal, one line an epoch in a log file."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, RichProgressBar
from rich.console import Console


def progress_callback() -> Callback:
    """Return the bar where output goes to a terminal, else the lines."""
    return RichProgressBar() if sys.stdout.isatty() and sys.stderr.isatty() else EpochLines()


class EpochLines(Callback):
    """One line an epoch: loss, validation accuracy, clips a second, remaining time.

    An evaluation of many batches prints a line a minute.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._fit_began = 0.0
        self._epoch_began = 0.0
        self._first_epoch = 0
        self._first_batch = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the clocks; a resumed epoch has batches behind it."""
        self._fit_began = self._epoch_began = time.perf_counter()
        self._first_epoch = trainer.current_epoch
        self._first_batch = trainer.fit_loop.epoch_loop.batch_progress.current.completed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the epoch's clock."""
        self._epoch_began = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Print the line."""
        if not trainer.is_global_zero:
            return
        now = time.perf_counter()
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        batches = trainer.num_training_batches - self._first_batch
        self._first_batch = 0
        videos = batches * datamodule.batch_size * trainer.world_size
        clips = videos * datamodule.clips_per_video
        done = trainer.current_epoch + 1
        parts = [f"epoch {done}/{trainer.max_epochs}"]
        known = trainer.callback_metrics
        shown = (
            "train/loss",
            "val/loss",
            "train/clip_top1",
            "val/video_top1_1x1",
            "val/video_map_1x1",
        )
        parts += [f"{name} {float(known[name]):.3f}" for name in shown if name in known]
        parts.append(f"{clips / (now - self._epoch_began):.0f} clips/s")
        if trainer.max_epochs and trainer.max_epochs > 0:
            each = (now - self._fit_began) / (done - self._first_epoch)
            parts.append(f"{each * (trainer.max_epochs - done):.0f} s left")
        self.console.print("  ".join(parts))

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the evaluation's clock."""
        self._test_began = self._last_line = time.perf_counter()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Print a line if the last one is a minute old."""
        now = time.perf_counter()
        if not trainer.is_global_zero or now - self._last_line < 60:
            return
        self._last_line = now
        done, batches = batch_idx + 1, int(sum(trainer.num_test_batches))
        left = (now - self._test_began) / done * (batches - done)
        self.console.print(f"evaluation {done}/{batches} batches  {left:.0f} s left")
