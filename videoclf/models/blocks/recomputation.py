"""Gradient checkpointing: a block keeps only its input and computes the rest anew going backward.

Memory for activations falls to one block's and the blocks' inputs; a step costs about a third
more. Gradients are the same, and running statistics count each batch once.

Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost".
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def run_block(
    block: nn.Module, maps: torch.Tensor, *settings: int | torch.Tensor, checkpointed: bool
) -> torch.Tensor:
    """Run a block; where `checkpointed`, keep only its input and recompute it backward."""
    if not (checkpointed and torch.is_grad_enabled()):
        result: torch.Tensor = block(maps, *settings)
        return result

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), statistics_kept(block)

    result = checkpoint(block, maps, *settings, use_reentrant=False, context_fn=contexts)
    return result  # noqa: RET504 (typed above)


@contextmanager
def statistics_kept(block: nn.Module) -> Iterator[None]:
    """Leave running statistics alone: a recomputed batch has already been counted once."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counts = [copy.deepcopy(norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # the old value counts fully, the batch's not at all
    try:
        yield
    finally:
        for norm, momentum, num_batches in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None and num_batches is not None:
                norm.num_batches_tracked.copy_(num_batches)
