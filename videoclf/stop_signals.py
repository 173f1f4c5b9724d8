"""SIGINT and SIGTERM in a rank: finish the training step, save, end; elsewhere end at once.

The handler only takes a note while steps are trained, since a save is possible between two steps
only, and on all ranks at the same one.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed
from pytorch_lightning.callbacks import Callback


class Stopped(BaseException):
    """A signal asked the run to end; no handler of errors may take it for one.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class StopSignals(Callback):
    """Receives the signals, and lets the ranks agree on what one of them wants.

    Lightning puts handlers of its own before ours, of which one hangs on several ranks; ours are
    set again wherever a loop begins.
    """

    def __init__(self) -> None:
        self.received = 0
        self._in_training = False
        self._told = torch.zeros(2, dtype=torch.int64)  # signal, whether a save is due
        self._work: Any = None
        self._group: Any = None

    def install(self) -> None:
        """Receive both signals from now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.received:
            return  # on the way out already
        self.received = number
        if not self._in_training:
            raise Stopped(number)

    def leave_training(self) -> None:
        """End at once on a signal, from now on and for one that has come.

        Raises:
            Stopped: one has come.
        """
        self._in_training = False
        if self.received:
            raise Stopped(self.received)

    def exchange(self, *, save: bool) -> tuple[int, bool]:
        """Tell the other ranks what this one has received, and whether it finds a save due.

        Returns:
            What any rank told at the last call, the same on all: a signal's number or 0, and
            whether to save. The answer is awaited a step later, so that nobody waits for it.
        """
        if self._group is None:
            return self.received, save
        number, agreed = 0, False
        if self._work is not None:
            self._work.wait()
            number, agreed = int(self._told[0]), bool(self._told[1])
        self._told = torch.tensor([self.received, int(save and not agreed)])
        self._work = torch.distributed.all_reduce(
            self._told, torch.distributed.ReduceOp.MAX, group=self._group, async_op=True
        )
        return number, agreed

    # Lightning's hooks -----------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """From here on a signal waits for the end of a step."""
        if trainer.world_size > 1 and self._group is None:
            self._group = torch.distributed.new_group(backend="gloo")
        self.install()
        self._in_training = True

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """A validation may be long; the last step before it has been saved."""
        self.leave_training()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Back to training."""
        self._in_training = True

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """An evaluation has nothing to save."""
        self.install()
