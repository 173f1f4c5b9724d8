"""TensorBoard, whose curves a resumed run goes on with."""

from __future__ import annotations

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only


class TensorBoard(TensorBoardLogger):
    """Log for TensorBoard; `tensorboard --logdir runs` shows it.

    Args:
        folder: the run folder; the events go to `tensorboard` in it.
    """

    def __init__(self, *, folder: str) -> None:
        super().__init__(save_dir=folder, name="tensorboard", version="", default_hp_metric=False)

    @rank_zero_only
    def continue_before(self, step: int) -> None:
        """Have TensorBoard hide what earlier sessions logged at `step` and later."""
        if self._experiment is not None:
            self._experiment.close()
            self._experiment = None
        self._kwargs["purge_step"] = step
