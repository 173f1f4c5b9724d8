"""`early_stopping.patience=N`: end a training whose best checkpoint is N validations old.

What is followed is what chooses `best.ckpt`. A checkpoint holds the count, so that a run that is
resumed ends where it would have ended.
"""

from __future__ import annotations

import sys

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping

from videoclf.errors import ConfigError


def early_stopping(patience: int | None, *, monitor: str, mode: str) -> list[Callback]:
    """Return the callback, or none where there is no patience to lose.

    Args:
        patience: validations without a better value; None never stops.
        monitor: the validation metric, that of the checkpoints.
        mode: `max` or `min`.

    Raises:
        ConfigError: a patience below 1.
    """
    if patience is None:
        return []
    if patience < 1:
        raise ConfigError(f"early_stopping.patience={patience} must be at least 1, or null")
    return [OutOfPatience(patience=patience, monitor=monitor, mode=mode)]


class OutOfPatience(EarlyStopping):
    """Lightning's callback, asked after each validation, and again where a run is resumed."""

    def __init__(self, *, patience: int, monitor: str, mode: str) -> None:
        super().__init__(
            monitor=monitor,
            mode=mode,
            patience=patience,
            strict=False,  # a metric that is not measured is the checkpoints' to refuse
            check_finite=False,
            check_on_train_epoch_end=False,
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Train no further where the run had lost its patience before it was stopped."""
        trainer.should_stop |= self.wait_count >= self.patience

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count, and say so at the end."""
        super().on_validation_end(trainer, pl_module)
        if trainer.should_stop and trainer.is_global_zero and self.wait_count >= self.patience:
            sys.stderr.write(
                f"stopped early: {self.monitor} was best {self.wait_count} validations ago, "
                f"{float(self.best_score):.3f}\n"
            )
