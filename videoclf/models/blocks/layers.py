"""How deep a parameter lies: by the blocks of a model, from its input to its output.

A deep model has a method `layers() -> tuple[nn.Module, ...]`, its L blocks in the order of the
forward pass. What is defined before the first block (patch embedding, positions, class token, stem)
has depth 0, block i has depth i + 1, what is defined after the last one (norm, class head) has
depth L + 1; what is defined between two blocks has the depth of the one before it. On this rest
the layer-wise decay of learning rates (`videoclf.optimizers`) and sharding (`videoclf.sharding`).
"""

from __future__ import annotations

import inspect

from torch import nn


def model_layers(model: nn.Module) -> tuple[nn.Module, ...]:
    """Return a model's blocks from input to output.

    Raises:
        ValueError: it has no method `layers`, or none of its blocks.
    """
    method = getattr(model, "layers", None)
    if not inspect.ismethod(method):
        raise ValueError(
            f"{type(model).__name__} has no method `layers`, which lists its blocks from input to "
            "output; give it one"
        )
    blocks: tuple[nn.Module, ...] = tuple(method())
    if not blocks:
        raise ValueError(f"{type(model).__name__}.layers() lists no block")
    return blocks


def parameter_depths(model: nn.Module) -> dict[str, int]:
    """Return the depth of each parameter by its name: 0 to L + 1 for L blocks.

    Raises:
        ValueError: as `model_layers`.
    """
    blocks = model_layers(model)
    depth_of = {id(p): i + 1 for i, block in enumerate(blocks) for p in block.parameters()}
    named = list(model.named_parameters())
    last = max(place for place, (_, p) in enumerate(named) if id(p) in depth_of)
    depths: dict[str, int] = {}
    before = 0  # depth of the block before this place
    for place, (name, parameter) in enumerate(named):
        before = max(before, depth_of.get(id(parameter), 0))
        outside = before if place < last else len(blocks) + 1
        depths[name] = depth_of.get(id(parameter), outside)
    return depths
