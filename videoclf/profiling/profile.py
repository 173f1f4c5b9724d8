"""The profile of a model: one row a layer, and what the whole costs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from videoclf.errors import ConfigError
from videoclf.profiling.costs import MakeOptimizer, TrainingMemory, count_macs, simulate_step
from videoclf.profiling.fields import Field, SeenLayer, measure_fields
from videoclf.profiling.layers import Layers
from videoclf.profiling.published import Published, published
from videoclf.profiling.step_time import StepTime, time_steps

#: Channels of each modality that a model's forward may name.
CHANNELS = {"rgb": 3, "flow": 2}
ELSEWHERE = "(elsewhere)"


@dataclass(frozen=True)
class Row:
    """A layer.

    Args:
        name: of its module; in brackets a function between modules.
        kind: class of the module.
        output: shape for one clip; the first axis counts frames where they are folded into the
            batch.
        field: what a unit in its middle sees; None for what is not a layer.
        parameters: of the module and of norms behind it.
        macs: multiply-accumulates of one clip.
        activation_bytes: that one clip leaves for the backward pass.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    field: Field | None
    parameters: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True)
class Profile:
    """A model's costs.

    Args:
        model: name of the config.
        num_classes: K.
        num_frames: T.
        crop_pixels: height and width.
        rows: its layers in the order of running.
        parameters: of the whole.
        head_parameters: of these, those of the classifier.
        macs: of one clip.
        head_macs: of these, those of the classifier.
        num_clips: of the training step that `memory` and `step` tell of.
        memory: of a step.
        clip_bytes: activations that one more clip adds.
        step: measured times, or None.
        published: rows of others about the same network.
    """

    model: str
    num_classes: int
    num_frames: int
    crop_pixels: int
    rows: list[Row]
    parameters: int
    head_parameters: int
    macs: int
    head_macs: int
    num_clips: int
    memory: TrainingMemory
    clip_bytes: int
    step: StepTime | None
    published: list[Published]

    def as_json(self) -> dict[str, Any]:
        """Return plain values; FLOPs are two a multiply-accumulate."""
        text = asdict(self)
        text["flops"] = 2 * self.macs
        for row, plain in zip(self.rows, text["rows"], strict=True):
            plain["flops"] = 2 * row.macs
            plain["field"] = None
            if row.field is not None:
                plain["field"] = {"size": row.field.size, **asdict(row.field)}
        return text


def profile(
    build_model: Callable[[], nn.Module],
    make_optimizer: MakeOptimizer,
    *,
    name: str,
    num_classes: int,
    num_frames: int,
    crop_pixels: int,
    depth: int | None = None,
    num_clips: int = 4,
    device: str | None = None,
) -> Profile:
    """Profile a model.

    Args:
        build_model: makes it.
        make_optimizer: factory of the optimiser that trains it.
        name: of its config, by which published counts are found.
        num_classes: K.
        num_frames: T.
        crop_pixels: height and width.
        depth: levels of modules that are opened; None takes the fewest that give six rows.
        num_clips: of a training step.
        device: where steps are timed; None leaves that out.

    Raises:
        ConfigError: the model cannot take such clips, or its modalities are unknown.
    """
    model = build_model()
    shapes = input_shapes(model, num_frames, crop_pixels)
    layers = Layers(model, depth)
    try:
        seen = see(model, shapes, layers)
    except ValueError as error:
        raise ConfigError(f"model={name}: {error}") from error
    counts = _parameters(model, layers)
    step = None
    if device is not None:
        step = time_steps(model, shapes, make_optimizer, num_clips=num_clips, device=device)
    model = model.to("meta")
    macs, macs_by_layer = count_macs(model, shapes, layers.rows)
    memory = simulate_step(model, shapes, layers, make_optimizer, num_clips=num_clips)
    rows = _rows(model, seen, counts, macs, macs_by_layer, memory, num_clips)
    head = [row for row in rows if row.name.split(".")[-1] == "classifier"]
    return Profile(
        model=name,
        num_classes=num_classes,
        num_frames=num_frames,
        crop_pixels=crop_pixels,
        rows=rows,
        parameters=sum(counts.values()),
        head_parameters=sum(row.parameters for row in head),
        macs=macs,
        head_macs=sum(row.macs for row in head),
        num_clips=num_clips,
        memory=memory,
        clip_bytes=memory.activations // num_clips,
        step=step,
        published=published(name),
    )


def input_shapes(model: nn.Module, num_frames: int, crop_pixels: int) -> dict[str, tuple[int, ...]]:
    """Return the shape (C, T, H, W) of each modality that a model's forward names.

    Raises:
        ConfigError: a modality that clips do not have.
    """
    names = list(inspect.signature(model.forward).parameters)
    unknown = [name for name in names if name not in CHANNELS]
    if unknown:
        raise ConfigError(
            f"{type(model).__name__}.forward takes {unknown[0]!r}; profile knows the modalities "
            f"{', '.join(CHANNELS)}"
        )
    return {name: (CHANNELS[name], num_frames, crop_pixels, crop_pixels) for name in names}


def see(model: nn.Module, shapes: Mapping[str, tuple[int, ...]], layers: Layers) -> list[SeenLayer]:
    """Measure fields, by the slower way where a network writes into parts of its maps."""
    try:
        return measure_fields(model, shapes, layers)
    except RuntimeError as error:
        if "single memory location" not in str(error):
            raise
        return measure_fields(model, shapes, layers, repeat_views=False)


def _parameters(model: nn.Module, layers: Layers) -> dict[str, int]:
    """Count the parameters of each row, those of norms with the row before them."""
    order = [name for name, _ in model.named_modules() if name in {*layers.rows, *layers.followers}]
    counts, owner = dict.fromkeys(layers.rows, 0), ELSEWHERE
    counted: set[int] = set()
    for name in order:
        owner = name if name in counts else owner
        for parameter in model.get_submodule(name).parameters():
            if id(parameter) not in counted:
                counted.add(id(parameter))
                counts[owner] = counts.get(owner, 0) + parameter.numel()
    others = [p.numel() for p in model.parameters() if id(p) not in counted]
    counts[ELSEWHERE] = counts.get(ELSEWHERE, 0) + sum(others)
    return counts


def _rows(
    model: nn.Module,
    seen: list[SeenLayer],
    parameters: dict[str, int],
    macs: int,
    macs_by_layer: dict[str, int],
    memory: TrainingMemory,
    num_clips: int,
) -> list[Row]:
    rows: list[Row] = []
    for layer in seen:
        found = {**parameters, **dict.fromkeys({layer.name} - set(parameters), 0)}[layer.name]
        work = macs_by_layer.get(layer.name, 0)
        unchanged = rows and (rows[-1].output, rows[-1].field) == (layer.output, layer.field)
        if unchanged and not found and not work:
            continue
        kind = "" if "(" in layer.name else type(model.get_submodule(layer.name)).__name__
        kept = memory.activations_by_layer.get(layer.name, 0) // num_clips
        rows.append(Row(layer.name, kind, layer.output, layer.field, found, work, kept))
    left = {
        "parameters": sum(parameters.values()) - sum(row.parameters for row in rows),
        "macs": macs - sum(row.macs for row in rows),
        "activation_bytes": memory.activations // num_clips
        - sum(row.activation_bytes for row in rows),
    }
    if any(left.values()):
        rows.append(Row(name=ELSEWHERE, kind="", output=(), field=None, **left))
    return rows


def default_device() -> str:
    """Return the device on which training would run."""
    return "cuda" if torch.cuda.is_available() else "cpu"
