"""The class head that a network came with, kept beside the one that it is trained with.

    logits of the new classes     classifier(features(clip))          learns
    logits of the source's        source_classifier(features(clip))   stays as it was

`source_classifier` is a frozen linear layer of the model itself, so that whatever reads, shards,
freezes or saves a model needs to know nothing of it; `forward` never asks it. What it reads are the
features as they are now: where the backbone has learnt, its answers have moved.
"""

from __future__ import annotations

import torch
from torch import nn

from videoclf.models.blocks.class_head import class_head

#: Names of its tensors in a model.
SOURCE_HEAD = ("source_classifier.weight", "source_classifier.bias")


def add_source_head(model: nn.Module, *, num_classes: int) -> nn.Linear:
    """Give a model a frozen head beside its own, its rows yet to be loaded; return it.

    Raises:
        ValueError: it has no class head.
    """
    own = class_head(model)
    head = nn.Linear(own.in_features, num_classes).to(own.weight).requires_grad_(False)
    model.source_classifier = head
    return head


def keep_source_head(model: nn.Module, *, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    """Keep the rows of a trained head beside a model's own.

    Args:
        model: changed in place.
        weight: (K', D), D the size of the model's features.
        bias: (K',); None is a head without one.

    Raises:
        ValueError: the model has no class head, or features of another size.
    """
    width = class_head(model).in_features
    if weight.shape[1] != width:
        raise ValueError(
            f"the source's class head reads {weight.shape[1]} features, the model's {width}"
        )
    head = add_source_head(model, num_classes=len(weight))
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.zero_() if bias is None else head.bias.copy_(bias)


def source_head(model: nn.Module) -> nn.Linear:
    """Return the source's head of a model.

    Raises:
        ValueError: it has none.
    """
    head = getattr(model, "source_classifier", None)
    if not isinstance(head, nn.Linear):
        raise ValueError(
            f"{type(model).__name__} has one class head; the source's is kept by a training with "
            "keep_source_head=true"
        )
    return head


def source_logits(model: nn.Module, **inputs: torch.Tensor) -> torch.Tensor:
    """Return what a model says of clips in the classes of its source.

    Args:
        model: with a source's head; the same afterwards.
        inputs: of its `forward`, such as rgb (B, 3, T, H, W).

    Returns:
        (B, K'), or whatever `forward` gives, with K' classes.

    Raises:
        ValueError: it has no such head.
    """
    own, head = class_head(model), source_head(model)
    try:
        model.classifier = head
        logits: torch.Tensor = model(**inputs)
    finally:
        model.classifier = own
    return logits


def speak_as_source(model: nn.Module) -> None:
    """Put the source's head in the place of a model's own, for good.

    Raises:
        ValueError: it has none.
    """
    model.classifier = source_head(model)
    del model.source_classifier
