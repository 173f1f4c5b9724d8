"""The attention that a network pays, recorded where it is computed.

Every transformer here calls `scaled_dot_product_attention`, which keeps its weights to itself.
Inside this context each call is seen with its queries and keys, and the weights are computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class RecordedAttention(TorchFunctionMode):
    """Record the attention of all calls in their order.

        with RecordedAttention() as recorded:
            model(rgb)
        recorded.weights[0]  # of the first attention

    Attributes:
        weights: float32 (B, N, N) a call, the mean over heads; row i is what token i takes from
            each token, and sums to 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[torch.Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Record the call if it is one of attention, and make it."""
        if func is F.scaled_dot_product_attention:
            self.weights.append(mean_over_heads(args[0], args[1]))
        return func(*args, **(kwargs or {}))


def mean_over_heads(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Return softmax(Q K^T / sqrt(d)), float32 (B, N, M), the mean over heads.

    Args:
        query: (B, heads, N, d).
        key: (B, heads, M, d).
    """
    query, key = query.detach().float(), key.detach().float()
    total = query.new_zeros(query.shape[0], query.shape[2], key.shape[2])
    for head in range(query.shape[1]):  # one by one: all heads of a long clip fill the memory
        scores = query[:, head] @ key[:, head].mT / query.shape[-1] ** 0.5  # (B, N, M)
        total += scores.softmax(-1)
    return total / query.shape[1]
