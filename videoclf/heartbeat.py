"""A rank says where it is, so that its launching process finds it if it hangs.

The limit holds for each part of a step and each batch of an evaluation, from the end of the first
on, which may compile. Where a rank waits for its loader, the loader's own limit comes on top.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from videoclf.errors import ConfigError
from videoclf.standstill import Marks


class Heartbeat(Callback):
    """Puts a mark wherever a rank goes on.

    Args:
        marks: of this rank.
        seconds: that it may stay in one place.
        seconds_reading: that its loader may take for a batch on top; None is for ever.

    Raises:
        ConfigError: `seconds` is not above 0.
    """

    def __init__(self, *, marks: Marks, seconds: float, seconds_reading: float | None) -> None:
        if seconds <= 0:
            raise ConfigError(f"seconds_without_progress={seconds} must be above 0, or null")
        self.marks = marks
        self.seconds = seconds
        self.reading = None if seconds_reading is None else seconds + seconds_reading
        self._begun = False

    def _put(self, where: str) -> None:
        if self._begun:
            self.marks.put(where, self.seconds)

    def _step(self, trainer: pl.Trainer, part: str) -> str:
        batch = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        return f"epoch {trainer.current_epoch + 1}, batch {batch}, {part}"

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Forward."""
        self._put(self._step(trainer, "forward"))

    def on_before_backward(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        loss: Any,  # noqa: ARG002
    ) -> None:
        """Backward."""
        self._put(self._step(trainer, "backward"))

    def on_before_optimizer_step(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        optimizer: Any,  # noqa: ARG002
    ) -> None:
        """Optimiser."""
        self._put(self._step(trainer, "optimiser"))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """The next batch is waited for."""
        self._begun = True
        self.marks.put(self._step(trainer, "done"), self.reading)

    def on_save_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        checkpoint: dict[str, Any],  # noqa: ARG002
    ) -> None:
        """A checkpoint, and what comes after it."""
        self._put(self._step(trainer, "saving or after it"))

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """The first batch is waited for, after what is measured before it."""
        self._evaluating("validation", 0)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        pl_module: pl.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """The next one is."""
        self._begun = True
        self._evaluating("validation", batch_idx + 1)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """As in a validation."""
        self._evaluating("evaluation", 0)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,  # noqa: ARG002
        pl_module: pl.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """As in a validation."""
        self._begun = True
        self._evaluating("evaluation", batch_idx + 1)

    def _evaluating(self, what: str, batch: int) -> None:
        if self._begun:
            self.marks.put(f"{what}, after batch {batch}", self.reading)
