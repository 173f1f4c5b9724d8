"""What multigrid training asks of the trainer: epochs of unequal length, a rate by videos read.

The plan itself is in `videoclf.multigrid`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from videoclf.errors import ConfigError
from videoclf.global_batch import BatchRule, rate_factor
from videoclf.multigrid import MultigridPlan
from videoclf.types import ClipShape

CHANNELS = {"rgb": 3, "flow": 2}


class UnequalEpochs(Callback):
    """Tells the loops of the trainer how many batches the epoch has that begins now.

    Lightning counts an epoch's batches once, when it makes the loader.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Count those of the epoch that a resumed run is in; say what the whole training has."""
        _count_batches(trainer)
        plan: MultigridPlan = trainer.datamodule.plan  # type: ignore[attr-defined]
        if trainer.is_global_zero:
            sys.stderr.write(f"{describe(plan)}\n")

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Count those of a new epoch."""
        _count_batches(trainer)


def _count_batches(trainer: pl.Trainer) -> None:
    loop = trainer.fit_loop
    assert loop._combined_loader is not None
    (loader,) = loop._combined_loader.flattened
    count, limit = len(loader), trainer.limit_train_batches
    if limit is not None:
        count = min(count, limit) if isinstance(limit, int) else int(count * limit)
    loop._combined_loader.limits = [count]
    loop.max_batches = trainer.val_check_batch = count


def describe(plan: MultigridPlan) -> str:
    """Return one line: how many steps there are, and the shapes from first to last."""
    shapes = list(dict.fromkeys(grid.shape for grid in plan.grids))
    listed = ", ".join(f"{s.num_frames}x{s.crop_pixels}x{s.crop_pixels}" for s in shapes)
    return f"multigrid: {len(plan)} steps in place of {plan.units * plan.epochs}; clips of {listed}"


def paced(
    optimizer: Optimizer, schedule: LambdaLR, plan: MultigridPlan, *, rule: BatchRule
) -> LambdaLR:
    """Return a schedule whose rates go by the videos read, and by the batch of the long cycle.

    Args:
        optimizer: of the run.
        schedule: of the plain training, in its steps.
        plan: of the multigrid training.
        rule: how a rate follows a batch.
    """

    def follow(factor_of: object) -> object:
        assert callable(factor_of)

        def factor(step: int) -> float:
            plain: float = factor_of(plan.plain_step(step))
            return plain * rate_factor(rule, plan.rate_scale(step))

        return factor

    return LambdaLR(optimizer, [follow(each) for each in schedule.lr_lambdas])  # type: ignore[misc]


def check_model(model: nn.Module, shapes: Sequence[ClipShape], modalities: Sequence[str]) -> None:
    """Let a model see one clip of each shape before the training begins.

    Raises:
        ConfigError: it takes no clips of one of them.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    for shape in shapes:
        size = (shape.num_frames, shape.crop_pixels, shape.crop_pixels)
        clips = {name: torch.zeros(1, CHANNELS[name], *size, device=device) for name in modalities}
        try:
            with torch.no_grad():
                model(**clips)
        except (ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{type(model).__name__} cannot see the clips of {'x'.join(map(str, size))} that "
                f"multigrid gives it ({' '.join(str(error).split())}); set multigrid.long_cycles=0,"
                " raise sampler.num_frames, or choose a model of any clip size, such as a 3D ResNet"
            ) from error
    model.train(was_training)
