"""Precise batch norm: the statistics of many training batches under the weights as they are.

    mean = sum_b n_b mean_b / sum_b n_b,    var = sum_b n_b (var_b + mean_b^2) / sum_b n_b - mean^2

over all values n_b of a channel in all drawn batches of all ranks: a population's, not an average
of batches' variances. Each layer sees what the layers below make of the batch when they normalise
by the batch itself, as in training; dropout and all else is as in evaluation.

Source: Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from videoclf.data.batch_sampler import TrainBatches
from videoclf.models.blocks.recomputation import statistics_kept


class PreciseStatistics(Callback):
    """Before each validation, take the statistics of some training batches.

    They are the first batches of the epoch, read by a loader of their own, so that training goes
    on as if nothing had been.

    Args:
        num_batches: of each rank; an epoch of fewer gives all it has.
    """

    def __init__(self, num_batches: int) -> None:
        self.num_batches = num_batches

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace the running statistics of all norms that learn."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        model: Any = pl_module.model
        sums = {norm: _zeros(norm) for norm in model.modules() if _learns(norm)}
        with torch.random.fork_rng(devices=[]):  # a loader draws a seed for its workers
            with statistics_kept(model), _normalising_by_batch(tuple(sums)), _counting(sums):
                for batch in self._batches(trainer):
                    with torch.no_grad(), trainer.precision_plugin.forward_context():
                        model(**batch.inputs)
            write_statistics(sums, trainer)

    def _batches(self, trainer: pl.Trainer) -> Iterator[Any]:
        """Yield training batches as the model sees them."""
        train: Any = trainer.train_dataloader
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        drawn = TrainBatches(
            train.batch_sampler.rows,
            batch_size=train.batch_sampler.batch_size,
            seed=datamodule.seed,
            rank=trainer.global_rank,
            world=trainer.world_size,
            reads=train.batch_sampler.reads,
        )
        drawn.set_epoch(trainer.current_epoch)
        loader = DataLoader(
            train.dataset,
            batch_sampler=list(itertools.islice(drawn, self.num_batches)),
            num_workers=train.num_workers,
            collate_fn=train.collate_fn,
            worker_init_fn=train.worker_init_fn,
            timeout=train.timeout,
        )
        for batch in loader:
            if len(batch):
                moved = batch.to(trainer.strategy.root_device)
                yield datamodule.transform.on_device(moved, seed=datamodule.seed, train=True)


def write_statistics(sums: dict[_BatchNorm, torch.Tensor], trainer: pl.Trainer) -> None:
    """Give each norm the mean and variance of what was counted on all ranks."""
    for norm, own in sums.items():
        count, total, squares = trainer.strategy.reduce(own, reduce_op="sum")
        assert norm.running_mean is not None
        assert norm.running_var is not None
        if count[0] > 0:  # else a part of the network that these batches did not reach
            mean = total / count
            norm.running_mean.copy_(mean)
            norm.running_var.copy_((squares / count - mean**2).clamp_min(0))


@contextmanager
def _counting(sums: dict[_BatchNorm, torch.Tensor]) -> Iterator[None]:
    """Add up what enters each norm meanwhile: number, sum and sum of squares by channel, (3, C)."""

    def counter(own: torch.Tensor) -> Callable[[nn.Module, tuple[torch.Tensor]], None]:
        def count(_: nn.Module, given: tuple[torch.Tensor]) -> None:
            values = given[0].float()  # (N, C, ...)
            axes = [axis for axis in range(values.ndim) if axis != 1]
            variance, mean = torch.var_mean(values, axes, correction=0)  # (C,) each
            variance, mean = variance.double(), mean.double()
            number = values.numel() // values.shape[1]
            own.add_(number * torch.stack([torch.ones_like(mean), mean, variance + mean**2]))

        return count

    hooks = [norm.register_forward_pre_hook(counter(own)) for norm, own in sums.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _normalising_by_batch(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    for norm in norms:
        norm.training = True
    try:
        yield
    finally:
        for norm in norms:
            norm.training = False


def _learns(module: nn.Module) -> bool:
    """Whether a module is a batch norm with statistics that training changes, too."""
    if not isinstance(module, _BatchNorm) or module.running_mean is None:
        return False
    return module.weight is None or module.weight.requires_grad


def _zeros(norm: _BatchNorm) -> torch.Tensor:
    assert norm.running_mean is not None
    size = (3, norm.num_features)
    return torch.zeros(size, dtype=torch.float64, device=norm.running_mean.device)
