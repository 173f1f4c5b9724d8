"""What a person sees while a run works: a bar in a terminal, one line an epoch in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, RichProgressBar
from rich.console import Console

from videoclf.pace import Pace

#: Metrics of an epoch's line, where they are measured.
SHOWN = (
    "train/loss",
    "val/loss",
    "train/clip_top1",
    "val/video_top1_1x1",
    "val/video_map_1x1",
)


def progress_callback(pace: Pace) -> Callback:
    """Return the bar where output goes to a terminal, else the lines."""
    terminal = sys.stdout.isatty() and sys.stderr.isatty()
    return PaceBar(pace) if terminal else EpochLines(pace)


def describe_pace(figures: Mapping[str, float]) -> list[str]:
    """Return the figures of `Pace` as words."""
    words = [
        f"{figures['clips_per_second']:.{1 if figures['clips_per_second'] < 10 else 0}f} clips/s",
        f"{figures['data_wait_share']:.0%} waiting for data",
    ]
    if "gpu_memory_gib" in figures:
        words.append(f"{figures['gpu_memory_gib']:.1f} GiB of the GPU")
    if "gpu_utilisation" in figures:
        words.append(f"GPU busy {figures['gpu_utilisation']:.0%}")
    if "mfu" in figures:
        words.append(f"MFU {figures['mfu']:.0%}")
    return words


class PaceBar(RichProgressBar):
    """Lightning's bar, with the figures of `Pace` beside the metrics.

    Args:
        pace: of the training.
    """

    def __init__(self, pace: Pace) -> None:
        super().__init__()
        self.pace = pace

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return what stands beside the bar."""
        shown: dict[str, Any] = dict(super().get_metrics(trainer, pl_module))
        shown.pop("v_num", None)
        if self.pace.seconds:
            shown["pace"] = ", ".join(describe_pace(self.pace.figures(trainer)))
        return shown


class EpochLines(Callback):
    """One line an epoch: loss, validation accuracy, pace, remaining time.

    Within a long epoch, and in a long evaluation, a line a minute.

    Args:
        pace: of the training.
    """

    def __init__(self, pace: Pace) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.pace = pace
        self._fit_began = self._last_line = 0.0
        self._done_before = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the clocks; a resumed run has epochs and batches behind it."""
        self._fit_began = self._last_line = time.perf_counter()
        self._done_before = self._epochs_done(trainer)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Print a line if the last one is a minute old."""
        if not trainer.is_global_zero or time.perf_counter() - self._last_line < 60:
            return
        place = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        batches = f"batch {batch_idx + 1}/{trainer.num_training_batches}"
        self._print(trainer, [place, batches], ("train/loss",))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Print the epoch's line."""
        if trainer.is_global_zero:
            place = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            self._print(trainer, [place], SHOWN)

    def _print(self, trainer: pl.Trainer, words: list[str], names: Sequence[str]) -> None:
        known = trainer.callback_metrics
        words += [f"{name} {float(known[name]):.3f}" for name in names if name in known]
        words += describe_pace(self.pace.figures(trainer))
        now, done = time.perf_counter(), self._epochs_done(trainer)
        if trainer.max_epochs and trainer.max_epochs > 0 and done > self._done_before:
            each = (now - self._fit_began) / (done - self._done_before)
            words.append(f"{each * (trainer.max_epochs - done):.0f} s left")
        self._last_line = now
        self.console.print("  ".join(words))

    @staticmethod
    def _epochs_done(trainer: pl.Trainer) -> float:
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        return trainer.current_epoch + batches / max(1, trainer.num_training_batches)

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
