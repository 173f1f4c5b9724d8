"""`early_stopping`: end a training that gets no better, or is as good as it needs to be.

    patience=N    the best validation is N validations old
    target=X      the validation has reached X

What is followed is what chooses `best.ckpt`. A checkpoint holds the count, so that a run that is
resumed ends where it would have ended.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

if TYPE_CHECKING:
    import pytorch_lightning as pl
    import torch


def early_stopping(
    patience: int | None, target: float | None, *, monitor: str, mode: str
) -> list[Callback]:
    """Return the callback, or none where nothing would ever end a training.

    Args:
        patience: validations, from 1, without a better value; None waits for ever.
        target: value that is good enough; None never is.
        monitor: the validation metric, that of the checkpoints.
        mode: `max` or `min`.
    """
    if patience is None and target is None:
        return []
    return [EarlyEnd(patience=patience, target=target, monitor=monitor, mode=mode)]


class EarlyEnd(EarlyStopping):
    """Lightning's callback, asked after each validation, and again where a run is resumed."""

    def __init__(
        self, *, patience: int | None, target: float | None, monitor: str, mode: str
    ) -> None:
        super().__init__(
            monitor=monitor,
            mode=mode,
            patience=sys.maxsize if patience is None else patience,
            strict=False,  # a metric that is not measured is the checkpoints' to refuse
            check_finite=False,
            check_on_train_epoch_end=False,
        )
        self.target = target

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Train no further where the run had come to its early end before it was stopped."""
        trainer.should_stop |= self._is_over()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count, and say so at the end."""
        super().on_validation_end(trainer, pl_module)
        if not (trainer.should_stop and trainer.is_global_zero and self._is_over()):
            return
        best = float(self.best_score)
        why = (
            f"reached {best:.3f}"
            if self.stopping_reason is EarlyStoppingReason.STOPPING_THRESHOLD
            else f"was best {self.wait_count} validations ago, {best:.3f}"
        )
        sys.stderr.write(f"stopped early: {self.monitor} {why}\n")

    def _evaluate_stopping_criteria(self, current: torch.Tensor) -> tuple[bool, str | None]:
        """Lightning's criteria, and a target that counts as reached where it is met exactly."""
        verdict: tuple[bool, Any] = super()._evaluate_stopping_criteria(current)
        if self.target is None or (
            current < self.target if self.mode == "max" else current > self.target
        ):
            return verdict
        self.stopping_reason = EarlyStoppingReason.STOPPING_THRESHOLD
        return True, f"{self.monitor} reached {self.target}"

    def _is_over(self) -> bool:
        reached = self.stopping_reason is EarlyStoppingReason.STOPPING_THRESHOLD
        return reached or self.wait_count >= self.patience
