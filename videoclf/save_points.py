"""When a run saves, and how it goes on from there as if it had never stopped.

Every checkpoint is written before a training batch, when the step before it is complete, logged
and validated and no gradients wait for others: at that point the state of a run is small. It is
Lightning's own (weights, optimiser, schedule, scaler, averaged weights, progress of the loops), the
place in the order of samples, and what is listed in `_RankState`. Random states need no storing
(`videoclf.random_state`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
import torch.distributed
from pytorch_lightning.callbacks import Checkpoint
from torchmetrics import Metric

from videoclf.build import nearest
from videoclf.errors import ConfigError
from videoclf.loggers.continuing import Continuing
from videoclf.random_state import seed_step
from videoclf.stop_signals import StopSignals
from videoclf.types import Unreadable

_KEY = "save_point"
#: Metrics that are measured only where videos of the validation are unreadable.
PARTIAL = ("_listed", "_available")


@runtime_checkable
class Finishing(Protocol):
    """What writes checkpoints, perhaps later."""

    def finish(self) -> None:
        """Wait until all is written."""


@runtime_checkable
class Measuring(Protocol):
    """A task that can tell what its validation logs."""

    def measured(self) -> Collection[str] | None:
        """Return names such as `val/loss`; None where it cannot tell."""


class SavePoints(Checkpoint):
    """Writes `best.ckpt` and `last.ckpt`; restores what Lightning does not.

    Args:
        folder: of the checkpoints.
        monitor: validation metric that chooses the best.
        mode: `max` or `min`.
        every_n_steps: `last.ckpt` is also written every so many optimiser steps.
        every_n_minutes: likewise.
        keep_best: also keep the best so many, as `top_<step>.ckpt`; 1 keeps `best.ckpt` alone.
        keep_every_n_steps: keep `step_<step>.ckpt` every so many steps.
        seed: of the run.
        stop: the signals of this rank.
        began: when the run was started or resumed, seconds since the epoch.
    """

    def __init__(
        self,
        *,
        folder: Path,
        monitor: str,
        mode: Literal["max", "min"],
        every_n_steps: int | None,
        every_n_minutes: float | None,
        keep_best: int,
        keep_every_n_steps: int | None,
        seed: int,
        stop: StopSignals,
        began: float,
    ) -> None:
        self.folder = folder
        self.monitor = monitor
        self.mode = mode
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.keep_best = keep_best
        self.keep_every_n_steps = keep_every_n_steps
        self.seed = seed
        self.stop = stop
        self.began = began
        self.best: float | None = None
        self.top: list[tuple[float, int]] = []  # value and step of the best, the best first
        self.train_seconds = 0.0  # in all sessions before this one, as are
        self.earlier_seconds = 0.0  # those that the run was alive
        self._fit_began = time.perf_counter()
        self._best_is_due = False
        self._last_is_due = False
        self._top_is_due = False
        self._saved_step = 0
        self._kept: set[str] = set()
        self._saved_at = time.monotonic()
        self._resumed: dict[str, Any] | None = None

    # when to save ----------------------------------------------------------------------------

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Refuse a misspelt metric before the first step, where the task can tell which it has."""
        measured = pl_module.measured() if isinstance(pl_module, Measuring) else None
        if measured is not None and not self.monitor.endswith(PARTIAL):
            self._check_monitor(measured)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clocks; drop the logged rows that a resumed run will measure again."""
        self._fit_began, self._saved_at = time.perf_counter(), time.monotonic()
        first_step = 0  # what a run logged that was killed before its first checkpoint is void
        if self._resumed is not None:
            _restore_rank(self._resumed["ranks"], trainer, pl_module)
            first_step = self._resumed["logged_steps"]
        for logger in trainer.loggers:
            if isinstance(logger, Continuing):
                logger.continue_before(first_step)

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Save if it is time; end if a signal asked for it.

        Raises:
            Stopped: after the save.
        """
        if self._resumed is not None:
            _restore_loops(trainer, self._resumed)
            self._resumed = None
        minutes = (time.monotonic() - self._saved_at) / 60
        signal_number, save = self.stop.exchange(
            save=self.every_n_minutes is not None and minutes >= self.every_n_minutes
        )
        self._last_is_due |= save or self._is_due(trainer, batch_idx)
        if batch_idx % trainer.accumulate_grad_batches == 0:  # no gradients wait for others
            self._save(trainer, last=bool(signal_number) or self._last_is_due)
            if signal_number:
                self._finish(trainer)
                self.stop.received = signal_number
                self.stop.leave_training()
        seed_step(
            seed=self.seed,
            epoch=trainer.current_epoch,
            batch=batch_idx,
            rank=trainer.global_rank,
        )

    def _is_due(self, trainer: pl.Trainer, batch_idx: int) -> bool:
        """After an epoch, before the step that ends in a validation, and every n steps."""
        accumulate = trainer.accumulate_grad_batches
        before_validation = (trainer.num_training_batches - 1) // accumulate * accumulate
        steps = trainer.global_step
        if batch_idx in (0, before_validation):
            return steps > 0
        return bool(self.every_n_steps and steps and steps % self.every_n_steps == 0)

    def _check_monitor(self, measured: Collection[str]) -> None:
        """Refuse to follow what no validation measures.

        Raises:
            ConfigError: such.
        """
        if self.monitor not in measured:
            names = [name for name in measured if name.startswith("val/")]
            raise ConfigError(
                f"checkpoint.monitor={self.monitor} is not measured{nearest(self.monitor, names)}"
            )

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Note whether the weights are the best so far; they are saved before the next step.

        Raises:
            ConfigError: no such metric is validated.
        """
        known = trainer.callback_metrics
        self._check_monitor(known)
        value = float(known[self.monitor])
        better = self.best is None or (
            value > self.best if self.mode == "max" else value < self.best
        )
        if better:
            self.best, self._best_is_due = value, True
        self.top.append((value, trainer.global_step))
        self.top.sort(key=lambda each: -each[0] if self.mode == "max" else each[0])  # keeps ties
        del self.top[self.keep_best :]
        self._top_is_due = self.keep_best > 1

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Save the end of the training, from where only the evaluation is left.

        Raises:
            Stopped: a signal came in the last step.
        """
        self.train_seconds += time.perf_counter() - self._fit_began
        self._fit_began = time.perf_counter()
        self._save(trainer, last=True)
        self._finish(trainer)
        self._drop_others(trainer)
        self._finish(trainer)
        self.stop.leave_training()

    def _save(self, trainer: pl.Trainer, *, last: bool) -> None:
        step, best = trainer.global_step, self._best_is_due
        self._best_is_due = self._last_is_due = False
        every = self.keep_every_n_steps
        if every and step and step % every == 0:
            self._keep(trainer, f"step_{step}.ckpt")
        if best:
            _checkpoint(trainer, self.folder / "best.ckpt")
        if self._top_is_due:
            self._top_is_due = False
            if step in (at for _, at in self.top):
                self._keep(trainer, f"top_{step}.ckpt")
            self._drop_others(trainer)
        if last and (best or step != self._saved_step):
            _checkpoint(trainer, self.folder / "last.ckpt")
            self._saved_step, self._saved_at = step, time.monotonic()

    def _keep(self, trainer: pl.Trainer, name: str) -> None:
        if name not in self._kept:
            _checkpoint(trainer, self.folder / name)
            self._kept.add(name)

    def _drop_others(self, trainer: pl.Trainer) -> None:
        """Remove what is no longer among the best."""
        names = [f"top_{at}.ckpt" for _, at in self.top]
        if trainer.is_global_zero:
            for path in self.folder.glob("top_*.ckpt"):
                if path.name not in names:
                    trainer.strategy.remove_checkpoint(path)

    def _finish(self, trainer: pl.Trainer) -> None:
        """Wait for what is written in a thread; the processes may end right after.

        On all ranks: a launcher may kill the one that writes once another has ended.
        """
        writer = trainer.strategy.checkpoint_io
        if isinstance(writer, Finishing):
            writer.finish()
            trainer.strategy.barrier()

    # what is saved ---------------------------------------------------------------------------

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what Lightning does not store."""
        checkpoint[_KEY] = {
            "epoch": trainer.current_epoch,
            "batch": trainer.fit_loop.epoch_loop.batch_progress.current.completed,
            "step": trainer.global_step,
            "best": self.best,
            "top": [list(each) for each in self.top],
            "logged_steps": trainer.fit_loop.epoch_loop._batches_that_stepped,
            "passes": trainer.accumulate_grad_batches,
            "train_seconds": self.train_seconds + time.perf_counter() - self._fit_began,
            "alive_seconds": self.earlier_seconds + time.time() - self.began,
            "ranks": _rank_states(trainer, pl_module),
        }

    def on_load_checkpoint(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        checkpoint: dict[str, Any],
    ) -> None:
        """Take it up; what the loops hold is put right when they have begun."""
        state = checkpoint[_KEY]
        if (self.folder / "best.ckpt").exists():  # else whatever is validated next is the best
            self.best = state["best"]
        _count_batches_anew(checkpoint, passes=trainer.accumulate_grad_batches)
        self.top = [(value, step) for value, step in state.get("top", [])]
        self.train_seconds = state["train_seconds"]
        self.earlier_seconds = state["alive_seconds"]
        self._saved_step = state["step"]
        self._resumed = state


def _checkpoint(trainer: pl.Trainer, path: Path) -> None:
    """Save; what was logged before is not logged again, so the loggers write it first."""
    for logger in trainer.loggers:
        logger.save()
    trainer.save_checkpoint(path)


def _count_batches_anew(checkpoint: dict[str, Any], *, passes: int) -> None:
    """Let Lightning's loop count batches of another size, of which a step now has `passes`."""
    before = checkpoint[_KEY].get("passes", passes)
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for span in ("total", "current"):
        progress[span] |= {
            name: count * passes // before
            for name, count in progress[span].items()
            if isinstance(count, int)
        }


def progress_of(checkpoint: Mapping[str, Any]) -> dict[str, int]:
    """Return epoch, batch and optimiser step of a checkpoint, to be read without torch."""
    state = checkpoint.get(_KEY, {})
    return {name: state[name] for name in ("epoch", "batch", "step") if name in state}


def _restore_loops(trainer: pl.Trainer, state: Mapping[str, Any]) -> None:
    """Undo what Lightning assumes about a checkpoint: that it was written after a batch."""
    epoch_loop = trainer.fit_loop.epoch_loop
    epoch_loop._batches_that_stepped = state["logged_steps"]
    total = epoch_loop.batch_progress.total
    total.ready, total.started = total.completed + 1, total.completed  # type: ignore[attr-defined]
    trainer.fit_loop._restarting = False


def _rank_states(trainer: pl.Trainer, pl_module: pl.LightningModule) -> list[dict[str, Any]]:
    """Return of each rank what it alone knows: its share of the epoch's metrics, and its skips."""
    unreadable: Mapping[int, Unreadable] = getattr(pl_module, "unreadable", {})
    own = {
        "metrics": {
            name: {key: torch.as_tensor(value).cpu() for key, value in metric.metric_state.items()}
            for name, metric in _metrics(pl_module)
        },
        "unreadable": [[each.index, each.path, each.reason] for each in unreadable.values()],
    }
    if trainer.world_size == 1:
        return [own]
    states: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(states, own)
    return states


def _restore_rank(
    states: list[dict[str, Any]], trainer: pl.Trainer, pl_module: pl.LightningModule
) -> None:
    """Give each rank its own state; on another number of ranks, rank 0 takes all of them."""
    rank, same = trainer.global_rank, len(states) == trainer.world_size
    mine = [states[rank]] if same else states if rank == 0 else []
    for name, metric in _metrics(pl_module):
        for key in metric.metric_state:
            if mine:  # counts, so that their sum over the ranks is what they would have been
                saved = torch.stack([state["metrics"][name][key] for state in mine]).sum(0)
                setattr(metric, key, saved.to(metric.device))
    for state in mine:
        pl_module.unreadable.update(  # type: ignore[union-attr,operator]
            {index: Unreadable(index, path, reason) for index, path, reason in state["unreadable"]}
        )


def _metrics(pl_module: pl.LightningModule) -> list[tuple[str, Metric]]:
    return [
        (name, module) for name, module in pl_module.named_modules() if isinstance(module, Metric)
    ]
