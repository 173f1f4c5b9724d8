"""What all tasks share: the optimiser, and to stop where a run would go on with nonsense."""

from __future__ import annotations

import abc
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import nn

from videoclf.errors import ConfigError, DataError, NonFiniteLossError, WorkerError
from videoclf.global_batch import BatchRule
from videoclf.multigrid_training import paced
from videoclf.optimizers import OptimizerFactory
from videoclf.sharding import are_finite, shard
from videoclf.types import Batch, Unreadable

if TYPE_CHECKING:
    from videoclf.data.datamodule import VideoDataModule
    from videoclf.evaluation.evaluator import Evaluation
    from videoclf.evaluation.inference import Inference, Plan
    from videoclf.evaluation.losses import VideoLosses
    from videoclf.evaluation.parts import Parts
    from videoclf.evaluation.scores import Scores


class VideoTask(pl.LightningModule, abc.ABC):
    """A model, its optimiser, and what could not be read.

    A task adds the steps of training, validation and test; its validation logs what
    `checkpoint.monitor` names, and `evaluation` says what a test found.

    Args:
        model: what learns; its weights are those of a checkpoint.
        optimizer: factory of optimiser and schedule.
        max_unreadable: unreadable videos of this rank that are left out.
    """

    _last_batch: Batch  # of the training, noted by each step

    def __init__(
        self, *, model: nn.Module, optimizer: OptimizerFactory, max_unreadable: int
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer_factory = optimizer
        self.max_unreadable = max_unreadable
        self.unreadable: dict[int, Unreadable] = {}

    @abc.abstractmethod
    def evaluation(self, datamodule: VideoDataModule, subset: str, seconds: float) -> Evaluation:
        """Join what the ranks have found in a test of a subset, which took that many seconds.

        Called after the loop, on every rank: a hook inside it would hang where a rank has nothing
        to read.

        Raises:
            DataError: more videos are unreadable than allowed.
        """

    def measured(self) -> Collection[str] | None:
        """Return what a validation logs, such as `val/loss`; None where a task cannot tell before.

        Asked when the training begins, so that a misspelt `checkpoint.monitor` is refused at once.
        """
        return None

    def check_inference(self, inference: Inference) -> None:
        """Refuse options of an evaluation that this task cannot follow.

        Raises:
            ConfigError: there are some.
        """
        if inference.fold_batch_norm or inference.layout != "channels_last":
            raise ConfigError(
                "inference.fold_batch_norm and inference.layout are for tasks with classes, not "
                f"for {type(self).__name__}; leave them out"
            )

    def run_as(self, plan: Plan) -> None:
        """Run the network of the coming test so; a task without classes has nothing to choose."""

    def store_in(self, parts: Parts) -> None:
        """Store finished videos of the coming test as it goes; a task that cannot leaves it be."""

    def on_before_backward(self, loss: torch.Tensor) -> None:
        """Stop before the optimiser steps on a loss that is not finite."""
        if torch.isfinite(loss):
            return
        manifest = self.trainer.datamodule.manifest  # type: ignore[attr-defined]
        paths = [manifest.record(int(index)).path for index in self._last_batch.indices]
        raise NonFiniteLossError(
            f"the loss is {loss.item()} at step {self.trainer.global_step}, on the videos "
            f"{', '.join(paths)}; lower optimizer.learning_rate or set trainer.gradient_clip_val"
        )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002
        """Stop before a step on gradients that are not finite, which a finite loss may give.

        bfloat16's 3D convolutions do so on some CPUs (docs/strategies.md). In 16 bits gradients
        overflow as a matter of course, and the scaler leaves out such steps.
        """
        named = [(name, p.grad) for name, p in self.named_parameters() if p.grad is not None]
        if self.trainer.precision == "16-mixed" or not named:
            return
        finite = are_finite([gradient for _, gradient in named])
        if bool(finite.all()):
            return
        wrong = [name for (name, _), good in zip(named, finite, strict=True) if not good]
        raise NonFiniteLossError(
            f"the gradients of {len(wrong)} of {len(named)} parameters ({', '.join(wrong[:3])}) "
            f"are not finite at step {self.trainer.global_step}; lower optimizer.learning_rate, "
            "or set trainer.precision=32-true"
        )

    def configure_model(self) -> None:
        """Shard the model where `trainer=fsdp` asks for it."""
        shard(self.model, self.trainer.strategy)

    def configure_optimizers(self) -> Any:
        """Build optimiser and schedule from the number of steps of the whole run."""
        plan = getattr(self.trainer.datamodule, "plan", None)  # type: ignore[attr-defined]
        if plan is None:
            total_steps = int(self.trainer.estimated_stepping_batches)
            optimizer, schedule = self.optimizer_factory(self.model, total_steps)
        else:
            optimizer, schedule = self.optimizer_factory(self.model, plan.units * plan.epochs)
            rule: BatchRule = getattr(self.optimizer_factory, "batch_rule", "linear")
            schedule = paced(optimizer, schedule, plan, rule=rule)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def no_effect(self) -> torch.Tensor:
        """Return a loss of 0 that reaches all parameters, for a batch of nothing readable.

        A step without effect keeps the ranks in step.
        """
        return sum(parameter.sum() for parameter in self.parameters()) * 0.0  # type: ignore[return-value]

    def note_unreadable(self, batch: Batch) -> None:
        """Count the unreadable training videos; above the number allowed, stop."""
        self.unreadable.update({record.index: record for record in batch.unreadable})
        if len(self.unreadable) > self.max_unreadable:
            raise unreadable_error(tuple(self.unreadable.values()), self.max_unreadable)


def check_complete(found: Scores | VideoLosses, allowed: int) -> None:
    """Refuse to call an evaluation complete that is not.

    Args:
        found: of all ranks, joined.
        allowed: unreadable videos that may be missing.

    Raises:
        WorkerError: a listed video was neither evaluated nor found unreadable.
        DataError: more videos are unreadable than allowed.
    """
    lost = found.num_missing - len(found.unreadable)
    if lost > 0:
        raise WorkerError(
            f"{lost} of {len(found.rows)} listed videos were neither evaluated nor found "
            "unreadable, so this is no whole evaluation: a rank has lost them; start it again"
        )
    if found.num_missing > allowed:
        raise unreadable_error(found.unreadable, allowed)


def unreadable_error(unreadable: tuple[Unreadable, ...], allowed: int) -> DataError:
    """Say which videos could not be read and what may be done."""
    named = "; ".join(f"{record.path}: {record.reason}" for record in unreadable[:5])
    more = f"; and {len(unreadable) - 5} more" if len(unreadable) > 5 else ""
    return DataError(
        f"{len(unreadable)} unreadable video(s), {allowed} allowed: {named}{more}; mend them, or "
        "leave out up to N with data.max_unreadable=N"
    )
