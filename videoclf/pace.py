"""How fast a training goes, which part of the time it waits for data, what the GPU does meanwhile.

A loader that cannot keep up is said once, with what helps; W&B and TensorBoard get the figures of
each epoch. metrics.csv does not: its rows are the same whenever the same training is run.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils.flop_counter import FlopCounterMode

from videoclf.loggers.csv import CsvLogger
from videoclf.profiling.peak import peak_operations, utilisation
from videoclf.types import Batch

#: A training that waits for a larger part of its time is told so, after so many batches.
STARVED, BATCHES = 0.3, 20


class Pace(Callback):
    """Measures the training steps of an epoch; validation and checkpoints do not count.

    Args:
        num_workers: loader processes a rank.
    """

    def __init__(self, *, num_workers: int) -> None:
        self.num_workers = num_workers
        self.clips = 0  # of all ranks
        self.seconds = 0.0
        self.waited_seconds = 0.0
        self.macs = 0  # multiply-accumulates of this rank, where they count
        self._macs_by_shape: dict[tuple[tuple[int, ...], ...], int] = {}
        self._batches = 0
        self._began: float | None = None  # of the current stretch of steps
        self._waited = 0.0  # by the loader's own clock, when it began
        self._warned = False

    # what it says ----------------------------------------------------------------------------

    @property
    def clips_per_second(self) -> float:
        """Of all ranks, in this epoch."""
        return self.clips / self.seconds if self.seconds else 0.0

    @property
    def wait_share(self) -> float:
        """Share of the time of this epoch's steps in which this rank waited for data."""
        return min(1.0, self.waited_seconds / self.seconds) if self.seconds else 0.0

    def figures(self, trainer: pl.Trainer) -> dict[str, float]:
        """Return what is known by name; of a GPU its memory, and where known how busy it is."""
        known = {"clips_per_second": self.clips_per_second, "data_wait_share": self.wait_share}
        device = trainer.strategy.root_device
        if device.type != "cuda":
            return known
        known["gpu_memory_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
        busy = _gpu_utilisation(device)
        if busy is not None:
            known["gpu_utilisation"] = busy
        peak = peak_operations(torch.cuda.get_device_name(device))
        if peak is not None and self.macs and self.clips:
            known["mfu"] = utilisation(
                macs_per_clip=self.macs * trainer.world_size / self.clips,
                clips_per_second=self.clips_per_second / trainer.world_size,
                peak=peak,
            )
        return known

    # Lightning's hooks -----------------------------------------------------------------------

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Begin anew."""
        self.clips = self.macs = self._batches = 0
        self.seconds = self.waited_seconds = 0.0
        self._began = None

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Start the clock at the first batch of a stretch; count the arithmetic of its shape."""
        if self._began is None:
            self._began, self._waited = time.perf_counter(), _waited(trainer)
        device = trainer.strategy.root_device
        if device.type == "cuda" and peak_operations(torch.cuda.get_device_name(device)):
            model: Any = pl_module.model
            self.count_macs(model, batch)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Batch,
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Count the clips of a step."""
        self.clips += len(batch) * batch.num_views * trainer.world_size
        self._batches += 1
        self._tick(trainer)
        if self._batches == BATCHES and not self._warned and self.wait_share > STARVED:
            self._warned = True
            if trainer.is_global_zero:
                sys.stderr.write(f"warning: {starved(self.wait_share, self.num_workers)}\n")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Stop the clock."""
        self._began = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Tell the loggers that keep such figures."""
        if trainer.is_global_zero:
            figures = {f"pace/{name}": value for name, value in self.figures(trainer).items()}
            for logger in trainer.loggers:
                if not isinstance(logger, CsvLogger):
                    logger.log_metrics(figures, step=trainer.global_step - 1)

    def count_macs(self, model: torch.nn.Module, batch: Batch) -> None:
        """Add the arithmetic of a batch, counted once for each shape of its clips."""
        shape = tuple(tuple(values.shape[1:]) for values in batch.inputs.values())
        if shape not in self._macs_by_shape and len(batch):
            self._macs_by_shape[shape] = count_macs_of(model, batch)
        self.macs += len(batch) * batch.num_views * self._macs_by_shape.get(shape, 0)

    def _tick(self, trainer: pl.Trainer) -> None:
        now, waited = time.perf_counter(), _waited(trainer)
        if self._began is not None:
            self.seconds += now - self._began
            self.waited_seconds += waited - self._waited
        self._began, self._waited = now, waited


def starved(share: float, num_workers: int) -> str:
    """Return one sentence: that the loader is too slow, and what to change."""
    cores = len(os.sched_getaffinity(0))
    more = f"set data.num_workers={cores} (now {num_workers}), " if num_workers < cores else ""
    return (
        f"{share:.0%} of the time is spent waiting for data; {more}"
        "prepare smaller files by `videoclf prepare`, or take data.clips_per_video=2 of each "
        "opened video; `videoclf bench loader` with the same settings says what helps most"
    )


def count_macs_of(model: torch.nn.Module, batch: Batch) -> int:
    """Count the multiply-accumulates of one clip of a batch as the model sees it."""
    training = {module: module.training for module in model.modules()}
    clips = {name: values[:1] for name, values in batch.inputs.items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(**clips)
    for module, was in training.items():  # what is frozen is in evaluation mode
        module.training = was
    return int(counter.get_total_flops()) // 2


def _waited(trainer: pl.Trainer) -> float:
    loader: Any = trainer.train_dataloader
    return float(getattr(loader, "wait_seconds", 0.0))


def _gpu_utilisation(device: torch.device) -> float | None:
    """Share of the last second in which the GPU computed; None where its driver is not asked."""
    try:
        return torch.cuda.utilization(device) / 100
    except (ModuleNotFoundError, RuntimeError):  # without nvidia-ml-py, or without the right to ask
        return None
