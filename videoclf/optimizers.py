"""Optimiser factories: (model, total steps) -> optimiser and its schedule.

Both warm up linearly and then follow half a cosine. Weight decay leaves out norms, biases,
positions and tokens (every parameter of at most one dimension, or that is no `weight` of a layer),
which it would only shrink. Where the backbone is trained already, the class head may learn at a
rate of its own, and the rate may fall from block to block towards the input.
"""

from __future__ import annotations

import math
from typing import ClassVar, Protocol

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from videoclf.errors import ConfigError
from videoclf.global_batch import BatchRule, check_batch_rule, rate_factor
from videoclf.models.blocks.class_head import class_head
from videoclf.models.blocks.layers import parameter_depths


class OptimizerFactory(Protocol):
    """What `optimizer=<name>` builds."""

    def __call__(self, model: nn.Module, total_steps: int) -> tuple[Optimizer, LambdaLR]:
        """Return the optimiser of a model and its schedule, stepped once an optimiser step."""
        ...


def parameter_groups(
    model: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    head_learning_rate_factor: float = 1.0,
    layer_decay: float = 1.0,
) -> list[dict[str, object]]:
    """Group trainable parameters by their rate and by whether they decay.

    With L blocks, a parameter of depth d (`videoclf.models.blocks.layers`) learns at the rate
    `learning_rate * layer_decay ** (L + 1 - d)`, the class head at `head_learning_rate_factor`
    times that of depth L + 1. With 12 blocks and 0.75: the last block 0.75, the first 0.0317, the
    patch embedding 0.0238 of it. The deepest come first; the class head, where it has a factor,
    comes last.

    Source of the decay: Clark et al. 2020 (ELECTRA), for vision Bao et al. 2022 (BEiT).

    Raises:
        ConfigError: another rate for the head of a model without one, or for the blocks of a model
            that does not list them.
    """
    head: set[int] = set()
    if head_learning_rate_factor != 1:
        try:
            head = {id(parameter) for parameter in class_head(model).parameters()}
        except ValueError as error:
            factor = f"optimizer.head_learning_rate_factor={head_learning_rate_factor}"
            raise ConfigError(f"{factor}: {error}") from error
    depths = dict.fromkeys((name for name, _ in model.named_parameters()), 0)
    if layer_decay != 1:
        try:
            depths = parameter_depths(model)
        except ValueError as error:
            raise ConfigError(
                f"optimizer.layer_decay={layer_decay}: {error}, or set optimizer.layer_decay=1.0"
            ) from error
    deepest = max(depths.values(), default=0)
    groups: dict[tuple[bool, int, bool], dict[str, object]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        in_head, below = id(parameter) in head, deepest - depths[name]
        decays = parameter.ndim > 1 and "weight" in name.rpartition(".")[2]
        share = layer_decay**below * (head_learning_rate_factor if in_head else 1.0)
        group = groups.setdefault(
            (in_head, below, not decays),
            {
                "params": [],
                "weight_decay": weight_decay if decays else 0.0,
                "lr": learning_rate * share,
            },
        )
        members = group["params"]
        assert isinstance(members, list)
        members.append(parameter)
    return [groups[key] for key in sorted(groups)]


def warmup_cosine(
    step: int, *, total_steps: int, warmup_fraction: float, final_fraction: float
) -> float:
    """Return the factor on the learning rate at a step.

    With 100 steps and a warm-up of 0.1: 0.1 at step 0, 1.0 at step 9, then down a half cosine to
    `final_fraction` at step 99.
    """
    warmup = round(total_steps * warmup_fraction)
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup + 1) / max(1, total_steps - warmup))
    return final_fraction + (1 - final_fraction) * 0.5 * (1 + math.cos(math.pi * progress))


class _Scheduled:
    """What both factories share: their rate, its schedule, and the checks of their values."""

    RUNTIME_ARGUMENTS: ClassVar[frozenset[str]] = frozenset({"global_batch_size"})

    def __init__(
        self,
        *,
        learning_rate: float,
        weight_decay: float,
        head_learning_rate_factor: float,
        layer_decay: float,
        warmup_fraction: float,
        final_fraction: float,
        reference_batch_size: int | None,
        batch_rule: BatchRule,
        global_batch_size: int | None,
    ) -> None:
        if learning_rate <= 0:
            raise ValueError(f"optimizer.learning_rate={learning_rate} must be above 0")
        if weight_decay < 0:
            raise ValueError(f"optimizer.weight_decay={weight_decay} must be at least 0")
        if head_learning_rate_factor <= 0:
            raise ValueError(
                f"optimizer.head_learning_rate_factor={head_learning_rate_factor} must be above 0"
            )
        if not 0 < layer_decay <= 1:
            raise ValueError(f"optimizer.layer_decay={layer_decay} must be in (0, 1]; 1.0 is off")
        if not 0 <= warmup_fraction < 1:
            raise ValueError(f"optimizer.warmup_fraction={warmup_fraction} must be in [0, 1)")
        if not 0 <= final_fraction <= 1:
            raise ValueError(f"optimizer.final_fraction={final_fraction} must be in [0, 1]")
        if reference_batch_size is not None and reference_batch_size < 1:
            raise ValueError(
                f"optimizer.reference_batch_size={reference_batch_size} must be at least 1, or null"
            )
        check_batch_rule(batch_rule)
        if reference_batch_size is not None and global_batch_size is not None:
            learning_rate *= rate_factor(batch_rule, global_batch_size / reference_batch_size)
        self.learning_rate = learning_rate
        self.batch_rule: BatchRule = batch_rule
        self.weight_decay = weight_decay
        self.head_learning_rate_factor = head_learning_rate_factor
        self.layer_decay = layer_decay
        self.warmup_fraction = warmup_fraction
        self.final_fraction = final_fraction

    def _groups(self, model: nn.Module) -> list[dict[str, object]]:
        return parameter_groups(
            model,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            head_learning_rate_factor=self.head_learning_rate_factor,
            layer_decay=self.layer_decay,
        )

    def _schedule(self, optimizer: Optimizer, total_steps: int) -> LambdaLR:
        def factor(step: int) -> float:
            return warmup_cosine(
                step,
                total_steps=total_steps,
                warmup_fraction=self.warmup_fraction,
                final_fraction=self.final_fraction,
            )

        return LambdaLR(optimizer, factor)


class AdamW(_Scheduled):
    """AdamW (Loshchilov & Hutter 2019) with warm-up and cosine.

    Args:
        learning_rate: at the end of the warm-up.
        weight_decay: decoupled; not on norms, biases, positions.
        head_learning_rate_factor: of the class head's rate to that of all else.
        layer_decay: of each block's rate to that of the block above it; 1.0 for one rate.
        warmup_fraction: share of all steps.
        final_fraction: the last step's rate, as a share of `learning_rate`.
        betas: of the two moment estimates.
        reference_batch_size: the global batch that `learning_rate` is meant for; None leaves the
            rate alone.
        batch_rule: how the rate follows the global batch, `linear` or `square_root`.
        global_batch_size: videos that a step learns from, on all ranks; None where nobody trains.
    """

    def __init__(
        self,
        *,
        learning_rate: float,
        weight_decay: float,
        head_learning_rate_factor: float,
        layer_decay: float,
        warmup_fraction: float,
        final_fraction: float,
        betas: tuple[float, float],
        reference_batch_size: int | None = None,
        batch_rule: BatchRule = "linear",
        global_batch_size: int | None = None,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            head_learning_rate_factor=head_learning_rate_factor,
            layer_decay=layer_decay,
            warmup_fraction=warmup_fraction,
            final_fraction=final_fraction,
            reference_batch_size=reference_batch_size,
            batch_rule=batch_rule,
            global_batch_size=global_batch_size,
        )
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"optimizer.betas={list(betas)} must be in [0, 1)")
        self.betas = betas

    def __call__(self, model: nn.Module, total_steps: int) -> tuple[Optimizer, LambdaLR]:
        """Return the optimiser of a model and its schedule."""
        groups = self._groups(model)
        optimizer = torch.optim.AdamW(groups, lr=self.learning_rate, betas=self.betas)
        return optimizer, self._schedule(optimizer, total_steps)


class SGD(_Scheduled):
    """Stochastic gradient descent with momentum, warm-up and cosine.

    Args:
        learning_rate: at the end of the warm-up.
        weight_decay: L2; not on norms, biases, positions.
        head_learning_rate_factor: of the class head's rate to that of all else.
        layer_decay: of each block's rate to that of the block above it; 1.0 for one rate.
        warmup_fraction: share of all steps.
        final_fraction: the last step's rate, as a share of `learning_rate`.
        momentum: of the velocity.
        nesterov: look ahead along the velocity.
        reference_batch_size: the global batch that `learning_rate` is meant for; None leaves the
            rate alone.
        batch_rule: how the rate follows the global batch, `linear` or `square_root`.
        global_batch_size: videos that a step learns from, on all ranks; None where nobody trains.
    """

    def __init__(
        self,
        *,
        learning_rate: float,
        weight_decay: float,
        head_learning_rate_factor: float,
        layer_decay: float,
        warmup_fraction: float,
        final_fraction: float,
        momentum: float,
        nesterov: bool,
        reference_batch_size: int | None = None,
        batch_rule: BatchRule = "linear",
        global_batch_size: int | None = None,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            head_learning_rate_factor=head_learning_rate_factor,
            layer_decay=layer_decay,
            warmup_fraction=warmup_fraction,
            final_fraction=final_fraction,
            reference_batch_size=reference_batch_size,
            batch_rule=batch_rule,
            global_batch_size=global_batch_size,
        )
        self.momentum = momentum
        self.nesterov = nesterov

    def __call__(self, model: nn.Module, total_steps: int) -> tuple[Optimizer, LambdaLR]:
        """Return the optimiser of a model and its schedule."""
        groups = self._groups(model)
        optimizer = torch.optim.SGD(
            groups, lr=self.learning_rate, momentum=self.momentum, nesterov=self.nesterov
        )
        return optimizer, self._schedule(optimizer, total_steps)
