"""Parts of a model that do not learn: no gradients, and evaluation mode throughout training."""

from __future__ import annotations

from collections.abc import Sequence

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import nn

from videoclf.errors import ConfigError
from videoclf.models.blocks.class_head import class_head
from videoclf.models.probes import LinearProbe

#: What `freeze=<part>` may name.
PARTS = ("backbone",)


def freeze_part(model: nn.Module, part: str | None) -> list[Callback]:
    """Freeze a part of a model; return the callbacks that keep it so.

    Args:
        model: with a class head `classifier`; of a probe the backbone is frozen already.
        part: `backbone`, all but the class head and the dropout in front of it; None freezes
            nothing.

    Raises:
        ConfigError: an unknown part, or a model without a class head.
    """
    if part is None:
        return []
    if part not in PARTS:
        raise ConfigError(f"freeze={part} is none of null, {', '.join(PARTS)}")
    if isinstance(model, LinearProbe):
        return []
    try:
        head = class_head(model)
    except ValueError as error:
        raise ConfigError(f"freeze={part}: {error}") from error
    children = [child for child in model.children() if child is not head]
    frozen = [child for child in children if not isinstance(child, nn.Dropout)]
    model.requires_grad_(False)
    head.requires_grad_(True)
    return [StayInEvaluation(frozen)]


class StayInEvaluation(Callback):
    """Keep modules in evaluation mode while the rest of the model trains.

    Args:
        modules: frozen ones, with everything that is inside them.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = modules

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Switch them, and again should anything have set the whole model to training."""
        for module in self.modules:
            module.eval()
