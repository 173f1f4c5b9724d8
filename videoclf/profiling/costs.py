"""Operations and memory of a model, counted on the meta device: exact shapes, no arithmetic.

Multiply-accumulates (MACs) are those of convolutions and matrix products, attention included;
norms, activations and poolings are left out, as in the published counts. FLOPs are two a MAC.

Memory is that of the tensors: a whole training step runs on the meta device, and each storage is
counted from when it is made until it is freed. What a device adds (workspaces, fragments, its
context) is not in it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from videoclf.profiling.layers import Layers, RunningLayer

#: (model, total steps) -> its optimiser, and a schedule
MakeOptimizer = Callable[[nn.Module, int], tuple[Optimizer, Any]]


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training step.

    Args:
        weights: parameters and buffers.
        gradients: of the parameters that learn.
        optimizer: its states.
        activations: kept from the forward to the backward pass.
        activations_by_layer: the same by the row that made them.
        peak: the most at any moment of the step.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    activations_by_layer: dict[str, int]
    peak: int


def count_macs(
    model: nn.Module, shapes: Mapping[str, tuple[int, ...]], names: Sequence[str]
) -> tuple[int, dict[str, int]]:
    """Count the multiply-accumulates of one clip.

    Args:
        model: on the meta device.
        shapes: of the inputs by modality, (C, T, H, W).
        names: of the modules to count one by one.

    Returns:
        Those of the whole model, and those of each module.
    """
    training = model.training
    inputs = {name: torch.empty(1, *shape, device="meta") for name, shape in shapes.items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(**inputs)
    model.train(training)
    counts = counter.get_flop_counts()
    root = type(model).__name__
    each = {name: sum(counts.get(f"{root}.{name}", {}).values()) // 2 for name in names}
    return counter.get_total_flops() // 2, each


def simulate_step(
    model: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    layers: Layers,
    make_optimizer: MakeOptimizer,
    *,
    num_clips: int,
) -> TrainingMemory:
    """Count the bytes of a training step in the steady state, the optimiser's states in place.

    Args:
        model: on the meta device.
        shapes: of the inputs by modality, (C, T, H, W).
        layers: the rows.
        make_optimizer: factory of the optimiser.
        num_clips: of a step.
    """
    optimizer, _ = make_optimizer(model.train(), 1)
    inputs = {name: torch.empty(num_clips, *shape, device="meta") for name, shape in shapes.items()}
    training_loss(model(**inputs)).backward()
    optimizer.step()
    optimizer.zero_grad()

    weights = _bytes([*model.parameters(), *model.buffers()])
    states = _bytes(tree_leaves(list(optimizer.state.values())))
    fixed = weights + states
    lean = _LeanAttention()
    with RunningLayer(model, layers) as running, lean:
        tracker = _Storages(lambda: running.active or running.latest or layers.rows[0])
        with tracker:
            loss = training_loss(model(**inputs))
            by_layer = tracker.by_owner()
            loss.backward()
            gradients = _bytes([p.grad for p in model.parameters() if p.grad is not None])
            optimizer.step()
    return TrainingMemory(
        weights=weights,
        gradients=gradients,
        optimizer=states,
        activations=sum(by_layer.values()),
        activations_by_layer=by_layer,
        peak=fixed + _bytes(list(inputs.values())) + tracker.peak,
    )


def training_loss(output: Any) -> torch.Tensor:
    """Cross-entropy to the first class: logits (B, K), (B, S, K), or a dict of them by head."""
    heads = output.values() if isinstance(output, Mapping) else [output]
    losses = []
    for logits in heads:
        rows = logits.flatten(0, -2).float()  # (B, K) or (B * S, K)
        targets = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        losses.append(F.cross_entropy(rows, targets))
    return torch.stack(losses).sum()


def _bytes(tensors: Sequence[Any]) -> int:
    """Bytes of tensors, each storage counted once."""
    storages = {
        storage._cdata: storage.nbytes()
        for storage in (t.untyped_storage() for t in tensors if isinstance(t, torch.Tensor))
    }
    return sum(storages.values())


class _Storages(TorchDispatchMode):
    """Counts the bytes of every storage that is made inside `with`, until it is freed."""

    def __init__(self, owner: Callable[[], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._owner = owner
        self._alive: dict[int, tuple[str, int]] = {}
        self._now = 0
        self.peak = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        known = {
            leaf.untyped_storage()._cdata
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, torch.Tensor)
        }
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                key = storage._cdata
                if key not in known and key not in self._alive:  # neither a view nor in place
                    self._alive[key] = (self._owner(), storage.nbytes())
                    self._now += storage.nbytes()
                    weakref.finalize(storage, self._free, key)
        self.peak = max(self.peak, self._now)
        return result

    def _free(self, key: int) -> None:
        _, size = self._alive.pop(key)
        self._now -= size

    def by_owner(self) -> dict[str, int]:
        """Return the bytes now alive by who made them."""
        total: dict[str, int] = {}
        for owner, size in self._alive.values():
            total[owner] = total.get(owner, 0) + size
        return total


class _LeanAttention(TorchFunctionMode):
    """Attention as devices run it; the meta device would make a matrix of all pairs."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__name__", "") == "scaled_dot_product_attention":
            return _attend_lean(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _attend_lean(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001
    is_causal: bool = False,
    scale: float | None = None,
    **options: Any,  # noqa: ARG001
) -> torch.Tensor:
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.empty_like(attn_mask, dtype=query.dtype)
    if attn_mask is not None and attn_mask.requires_grad:  # a learned bias: another kernel
        pairs = (*query.shape[:-1], key.shape[-2])
        found = torch.ops.aten._scaled_dot_product_efficient_attention(
            query, key, value, attn_mask.expand(pairs), True, 0.0, is_causal, scale=scale
        )
        learned: torch.Tensor = found[0]
        return learned
    found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale
    )
    output: torch.Tensor = found[0]
    return output
