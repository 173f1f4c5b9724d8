"""Receptive fields, measured: which frames and pixels one unit in the middle of a layer sees.

One forward pass under `SupportMode`; then, for each layer, the gradient of its central position
with respect to the clip. Its support is the field, whatever the architecture: residuals, several
pathways, recurrence, attention. Fields are clipped to the clip, as a unit at its border is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from videoclf.models.blocks.convolutional_recurrence import OneDirection, RecurrentLayer
from videoclf.profiling.layers import Layers, RunningLayer
from videoclf.profiling.support import SupportMode, call_in_double, positive

#: Functions that shrink maps; where a model calls one between its modules, it is a row.
POOLINGS = frozenset(
    {"mean", "amax", "avg_pool1d", "avg_pool2d", "avg_pool3d"}
    | {"max_pool1d", "max_pool2d", "max_pool3d"}
    | {"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"}
)
#: Modules whose maps are (B, T, C, H, W): the axis of the channels is not the first.
_CHANNELS_THIRD = (RecurrentLayer, OneDirection)


@dataclass(frozen=True)
class Field:
    """What a unit in the middle of a layer sees.

    Args:
        frames: for each frame of the clip, whether it is seen.
        height_pixels: from the first row that is seen to the last.
        width_pixels: the same of columns.
        top_pixels: rows above the field.
        left_pixels: columns to its left.
    """

    frames: tuple[bool, ...]
    height_pixels: int
    width_pixels: int
    top_pixels: int
    left_pixels: int

    @property
    def num_frames(self) -> int:
        """Frames from the first that is seen to the last."""
        seen = [place for place, is_seen in enumerate(self.frames) if is_seen]
        return seen[-1] - seen[0] + 1

    @property
    def size(self) -> tuple[int, int, int]:
        """T x H x W."""
        return self.num_frames, self.height_pixels, self.width_pixels


@dataclass(frozen=True)
class SeenLayer:
    """A layer in the order of running.

    Args:
        name: of its module, or of the function that pools between modules.
        output: shape of its output for one clip; the first axis counts frames where the model
            folds them into the batch.
        field: of a unit in its middle.
    """

    name: str
    output: tuple[int, ...]
    field: Field


def measure_fields(
    model: nn.Module,
    shapes: Mapping[str, tuple[int, ...]],
    layers: Layers,
    *,
    repeat_views: bool = True,
) -> list[SeenLayer]:
    """Measure the receptive field of every layer.

    Args:
        model: on the CPU; neither its weights nor its mode of training are changed.
        shapes: of the inputs by modality, (C, T, H, W), equal but for C; a field is that in all.
        layers: the rows.
        repeat_views: False for a network that writes into parts of its maps; slower.

    Returns:
        The layers in the order in which they run; one that runs several times is where it ran
        first, with its largest field.
    """
    inputs = {name: positive(1, *shape).requires_grad_() for name, shape in shapes.items()}
    clips = list(inputs.values())
    found: list[tuple[str, tuple[int, ...], torch.Tensor]] = []

    def note(name: str, output: Any) -> None:
        module = model.get_submodule(name) if "(" not in name else None
        found.extend(
            (name, tuple(tensor.shape), central_unit(tensor, module))
            for tensor in tensors_of(output)
            if tensor.requires_grad and tensor.numel()
        )

    with RunningLayer(model, layers, note) as watch:

        def called(name: str, result: Any) -> None:
            if name in POOLINGS and watch.active is None:
                note(f"({name})", result)

        training = model.training
        recomputing = [m for m in model.modules() if getattr(m, "checkpoint_activations", False)]
        for module in recomputing:  # it would recompute in single precision
            module.checkpoint_activations = False  # type: ignore[assignment]
        mode = SupportMode(called, repeat_views=repeat_views)
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), mode:
            call_in_double(model.eval(), inputs)
            seen = [(name, shape, unit_field(unit, clips)) for name, shape, unit in found]
        for module in recomputing:
            module.checkpoint_activations = True  # type: ignore[assignment]
        model.train(training)
    return merge(seen)


def merge(
    seen: list[tuple[str, tuple[int, ...], Field]],
) -> list[SeenLayer]:
    """Join what belongs to one layer: its first shape, its largest field."""
    layers: dict[str, SeenLayer] = {}
    for name, shape, field in seen:
        output = shape[1:] if shape[0] == 1 else shape
        known = layers.get(name)
        # a function between modules is a row each time, unless nothing changes
        if name.startswith("(") and known is not None and known.output != output:
            name = f"{name[:-1]} {sum(key.startswith(name[:-1]) for key in layers) + 1})"
            known = layers.get(name)
        if known is None:
            layers[name] = SeenLayer(name, output, field)
        elif volume(field) > volume(known.field):
            layers[name] = SeenLayer(name, known.output, field)
    return list(layers.values())


def volume(field: Field) -> int:
    """Pixels of a field's box."""
    frames, height, width = field.size
    return frames * height * width


def tensors_of(output: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of an output, which may be nested."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from tensors_of(value)
    elif isinstance(output, (list, tuple)):
        for value in output:
            yield from tensors_of(value)


def central_unit(tensor: torch.Tensor, module: nn.Module | None) -> torch.Tensor:
    """Sum the channels at the middle of all other axes: a scalar."""
    axis = channel_axis(tuple(tensor.shape), module)
    middle = tuple(
        slice(None) if place == axis else side // 2 for place, side in enumerate(tensor.shape)
    )
    return tensor[middle].sum()


def channel_axis(shape: tuple[int, ...], module: nn.Module | None) -> int:
    """Return where the channels are: (B, C, [T,] H, W), (B, [T,] H, W, C), (B, L, C) or (B, C)."""
    if len(shape) < 4:
        return 1 if isinstance(module, nn.Conv1d) else len(shape) - 1
    if isinstance(module, _CHANNELS_THIRD) and len(shape) == 5:
        return 2
    square_before_last = shape[-3] == shape[-2] != shape[-1]
    return len(shape) - 1 if square_before_last else 1


def unit_field(unit: torch.Tensor, clips: Sequence[torch.Tensor]) -> Field:
    """Return the box of clips (1, C, T, H, W) that a scalar depends on."""
    gradients = torch.autograd.grad(unit, clips, retain_graph=True, allow_unused=True)
    parts = [gradient[0].abs().sum(dim=0).ne(0) for gradient in gradients if gradient is not None]
    support = torch.stack(parts).any(dim=0)  # (T, H, W)
    rows = support.any(dim=2).any(dim=0).nonzero().flatten().tolist()
    columns = support.any(dim=1).any(dim=0).nonzero().flatten().tolist()
    return Field(
        frames=tuple(support.flatten(1).any(dim=1).tolist()),
        height_pixels=rows[-1] - rows[0] + 1,
        width_pixels=columns[-1] - columns[0] + 1,
        top_pixels=rows[0],
        left_pixels=columns[0],
    )
