"""Parts of a model that do not learn: no gradients, and evaluation mode throughout training.

`freeze=backbone` freezes all but the class head, to the end of the run or, with
`unfreeze_at_epoch`, by a schedule: one epoch for the whole backbone, or several for groups of its
blocks, the uppermost first (gradual unfreezing, Howard & Ruder 2018, section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy
from torch import nn

from videoclf.errors import ConfigError
from videoclf.models.blocks.class_head import class_head
from videoclf.models.blocks.layers import parameter_depths
from videoclf.models.probes import LinearProbe

#: What `freeze=<part>` may name.
PARTS = ("backbone",)


def freeze_part(
    model: nn.Module, part: str | None, unfreeze_at_epoch: int | Sequence[int] | None = None
) -> list[Callback]:
    """Freeze a part of a model; return the callbacks that keep it so.

    Args:
        model: with a class head `classifier`; of a probe the backbone is frozen already.
        part: `backbone`, all but the class head and the dropout in front of it; None freezes
            nothing.
        unfreeze_at_epoch: the first epoch, counted from 0, in which the part learns; several, for
            as many even groups of the model's blocks, from the last block to the input.

    Raises:
        ConfigError: an unknown part, a model without a class head, or a schedule that cannot be.
    """
    if part is None:
        if unfreeze_at_epoch is not None:
            raise ConfigError(
                f"unfreeze_at_epoch={unfreeze_at_epoch} finds nothing frozen; set freeze=backbone"
            )
        return []
    if part not in PARTS:
        raise ConfigError(f"freeze={part} is none of null, {', '.join(PARTS)}")
    if isinstance(model, LinearProbe):
        if unfreeze_at_epoch is not None:
            raise ConfigError(
                f"unfreeze_at_epoch={unfreeze_at_epoch}: the backbone of a probe stays frozen; "
                "set head=null"
            )
        return []
    try:
        head = class_head(model)
    except ValueError as error:
        raise ConfigError(f"freeze={part}: {error}") from error
    if unfreeze_at_epoch is not None:
        epochs = _checked_epochs(unfreeze_at_epoch)
        return [StagedFreezing(model, _groups(model, head, len(epochs)), epochs)]
    children = [child for child in model.children() if child is not head]
    frozen = [child for child in children if not isinstance(child, nn.Dropout)]
    model.requires_grad_(False)
    head.requires_grad_(True)
    return [StayInEvaluation(frozen)]


def _checked_epochs(given: int | Sequence[int]) -> tuple[int, ...]:
    epochs = (given,) if isinstance(given, int) else tuple(given)
    if not epochs or epochs[0] < 1 or any(b <= a for a, b in pairwise(epochs)):
        raise ConfigError(
            f"unfreeze_at_epoch={given} must be an epoch from 1, or a list of such that ascends"
        )
    return epochs


def _groups(model: nn.Module, head: nn.Module, count: int) -> list[list[nn.Parameter]]:
    """Part all parameters but the head's into groups of blocks, the last blocks first."""
    in_head = {id(parameter) for parameter in head.parameters()}
    named = [(n, p) for n, p in model.named_parameters() if id(p) not in in_head]
    if count == 1:
        return [[parameter for _, parameter in named]]
    try:
        depths = parameter_depths(model)
    except ValueError as error:
        raise ConfigError(f"unfreeze_at_epoch of {count} epochs: {error}") from error
    blocks = max(depths[name] for name in depths) - 1
    if count > blocks:
        raise ConfigError(
            f"unfreeze_at_epoch names {count} epochs, and {type(model).__name__} has {blocks} "
            "blocks; name as many or fewer"
        )
    groups: list[list[nn.Parameter]] = [[] for _ in range(count)]
    for name, parameter in named:
        block = min(max(depths[name], 1), blocks)  # what lies outside goes with its neighbour
        groups[(blocks - block) * count // blocks].append(parameter)
    return groups


class StagedFreezing(Callback):
    """Freezes groups of parameters until their epoch.

    The optimiser knows all of them from the beginning, so that its schedule and its checkpoints
    are those of any run; it passes over what has no gradient. What is frozen follows from the
    epoch alone, and so is right after a resume.

    Args:
        model: whose modules, once all their parameters are frozen, are in evaluation mode.
        groups: of its parameters.
        epochs: from which each group learns.
    """

    def __init__(
        self, model: nn.Module, groups: Sequence[Sequence[nn.Parameter]], epochs: Sequence[int]
    ) -> None:
        self.model = model
        self.groups = groups
        self.epochs = epochs

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Refuse strategies that settle what learns when the run begins.

        Raises:
            ConfigError: such.
        """
        strategy = trainer.strategy
        if isinstance(strategy, ModelParallelStrategy):
            raise ConfigError("trainer=fsdp cannot unfreeze; set unfreeze_at_epoch=null or use ddp")
        if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get(
            "find_unused_parameters"
        ):
            raise ConfigError(
                "unfreeze_at_epoch on several processes wants "
                "trainer.strategy=ddp_find_unused_parameters_true"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Freeze, now that the optimiser knows all parameters.

        Raises:
            ConfigError: a group is frozen for another reason, so that its epoch changes nothing.
        """
        self.groups = [[p for p in group if p.requires_grad] for group in self.groups]
        if not all(self.groups):
            raise ConfigError(
                "unfreeze_at_epoch has nothing to unfreeze: lora.rank or batch_norm.mode keeps it "
                "frozen; set one of them only"
            )
        self._arrange(trainer.current_epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Unfreeze what begins to learn."""
        self._arrange(trainer.current_epoch)

    def _arrange(self, epoch: int) -> None:
        for group, begin in zip(self.groups, self.epochs, strict=True):
            for parameter in group:
                parameter.requires_grad_(epoch >= begin)
        _set_modes(self.model)


def _set_modes(module: nn.Module) -> None:
    """Put modules whose parameters are all frozen in evaluation mode, others in training mode."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        module.eval()
        return
    module.training = True
    for child in module.children():
        _set_modes(child)


class StayInEvaluation(Callback):
    """Keep modules in evaluation mode while the rest of the model trains.

    Args:
        modules: frozen ones, with everything that is inside them.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = modules

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Switch them; a run that is resumed within an epoch does not begin it again."""
        self._switch()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Switch them, and again should anything have set the whole model to training."""
        self._switch()

    def _switch(self) -> None:
        for module in self.modules:
            module.eval()
