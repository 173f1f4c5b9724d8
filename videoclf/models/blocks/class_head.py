"""The class head: the linear layer `classifier` that every model has above its `features`.

Whatever changes a head for other classes, or treats it apart from the backbone, goes through here:
transfer (`videoclf.init_from`), learning rates (`videoclf.optimizers`) and freezing
(`videoclf.freezing`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

#: How a new head starts: as PyTorch draws it; N(0, 0.01^2) with biases 0; all 0, which makes the
#: first step's gradient that of the head alone.
STARTS = ("default", "normal", "zeros")


def class_head(model: nn.Module) -> nn.Linear:
    """Return a model's class head.

    Raises:
        ValueError: it has no linear layer `classifier`.
    """
    head = getattr(model, "classifier", None)
    if not isinstance(head, nn.Linear):
        raise ValueError(
            f"{type(model).__name__} has no linear layer `classifier` above its features, which "
            "tells the class head from the backbone; give it one under this name"
        )
    return head


def replace_class_head(model: nn.Module, *, num_classes: int, start: str) -> None:
    """Give a model a new class head, on the device and of the type of the old one.

    Args:
        model: with a linear layer `classifier`.
        num_classes: K of the new head.
        start: default, normal or zeros, see `STARTS`.

    Raises:
        ValueError: no head, fewer than one class, or an unknown start.
    """
    if start not in STARTS:
        raise ValueError(f"start={start!r} is none of {', '.join(STARTS)}")
    if num_classes < 1:
        raise ValueError(f"num_classes={num_classes} must be at least 1")
    old = class_head(model)
    new = nn.Linear(old.in_features, num_classes, bias=old.bias is not None)
    if start != "default":
        nn.init.normal_(new.weight, std=0.01 if start == "normal" else 0.0)
        if new.bias is not None:
            nn.init.zeros_(new.bias)
    model.classifier = new.to(old.weight)


def copy_class_rows(
    head: nn.Linear,
    class_names: Sequence[str],
    *,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    trained_names: Sequence[str],
) -> int:
    """Copy a trained head's rows into the rows of the same class names; others stay.

    Args:
        head: to be changed, K x D.
        class_names: of its K rows.
        weight: of the trained head, (K', D).
        bias: of the trained head, (K',).
        trained_names: of its K' rows.

    Returns:
        The number of classes that were found.

    Raises:
        ValueError: heads over features of different size.
    """
    if weight.shape[1] != head.in_features:
        raise ValueError(
            f"the trained class head reads {weight.shape[1]} features, the model's "
            f"{head.in_features}"
        )
    trained = {name: row for row, name in enumerate(trained_names)}
    pairs = [(row, trained[name]) for row, name in enumerate(class_names) if name in trained]
    if pairs:
        rows, sources = (torch.tensor(column) for column in zip(*pairs, strict=True))
        with torch.no_grad():
            head.weight[rows] = weight[sources].to(head.weight)
            if head.bias is not None and bias is not None:
                head.bias[rows] = bias[sources].to(head.bias)
    return len(pairs)
