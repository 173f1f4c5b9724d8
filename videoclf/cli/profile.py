"""`videoclf profile`: what a model costs and sees, layer by layer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoclf.cli.composing import compose_train
from videoclf.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from rich.console import Console

    from videoclf.profiling.profile import Profile

#: Where nobody says how many classes there are: those of Kinetics-400.
_USUAL_CLASSES = 400


def run(
    overrides: Annotated[
        list[str],
        typer.Argument(
            help="Settings, as train.py takes them: [bold]model=a[/bold], or [bold]model=a,b,c"
            "[/bold] to compare, [bold]sampler.num_frames=32 transform.crop_pixels=256[/bold], ..."
        ),
    ],
    as_published: Annotated[
        bool,
        typer.Option("--published", help="Take the input and classes of the published figures."),
    ] = False,
    depth: Annotated[
        int | None,
        typer.Option(min=1, help="Levels of modules to open.", show_default="six rows or more"),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips of a training step.")] = 4,
    device: Annotated[
        str | None, typer.Option(help="Where steps are timed.", show_default="cuda, else cpu")
    ] = None,
    no_time: Annotated[bool, typer.Option("--no-time", help="Do not time training steps.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw to this .svg file how the receptive field grows."),
    ] = None,
) -> None:
    """Show what a model costs and sees, layer by layer.

    Output sizes, receptive fields, parameters, operations, memory and the time of a
    training step, beside what is published. No data are needed.

    [dim]$[/dim] videoclf profile model=r3d_18
    [dim]$[/dim] videoclf profile model=slowfast_4x16_r50 --published --no-time
    [dim]$[/dim] videoclf profile model=toy_late_fusion,toy_early_fusion,toy_cnn_3d --picture t.svg
    """
    if picture is not None and picture.suffix != ".svg":
        raise ConfigError(f"--picture={picture} would be drawn as SVG; name a file ending in .svg")
    console = _console()
    found = []
    for model, words in one_by_one(overrides):
        if device is None and not no_time:
            from videoclf.profiling.profile import default_device

            device = default_device()
        one = profile_config(
            model,
            words,
            as_published=as_published,
            depth=depth,
            num_clips=clips,
            device=None if no_time else device,
        )
        _print(console, one)
        found.append(one)
    if len(found) > 1:
        _print_comparison(console, found)
    if picture is not None:
        from videoclf.profiling.picture import draw

        _write(picture, draw([panel(one) for one in found]))
    if json_file is not None:
        text = {"format": "videoclf profile 1", "profiles": [one.as_json() for one in found]}
        _write(json_file, json.dumps(text, indent=1, ensure_ascii=False))


def one_by_one(overrides: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Split `model=a,b x=1` into (a, [model=a, x=1]) and (b, [model=b, x=1]).

    Raises:
        ConfigError: no model is named.
    """
    chosen = [word.removeprefix("model=") for word in overrides if word.startswith("model=")]
    others = [word for word in overrides if not word.startswith("model=")]
    if not chosen:
        raise ConfigError("name a model, such as model=r3d_18, or several: model=r3d_18,s3d")
    return [(name, [f"model={name}", *others]) for name in chosen[-1].split(",") if name]


def profile_config(
    model: str,
    overrides: Sequence[str],
    *,
    as_published: bool,
    depth: int | None,
    num_clips: int,
    device: str | None,
) -> Profile:
    """Compose the settings of a training and profile its model.

    Raises:
        ConfigError: a wrong setting, or clips that the model cannot take.
    """
    from videoclf.build import build
    from videoclf.config import plain
    from videoclf.profiling.profile import profile
    from videoclf.profiling.published import published

    rows = published(model)
    words = list(overrides)
    if not any(word.split("=")[0] in ("data", "recipe", "experiment") for word in words):
        words.append("recipe=default")  # the size of the groups, not that of the default data
    if as_published:
        if not rows:
            raise ConfigError(f"nothing is published of model={model}; leave out --published")
        words += [
            f"sampler.num_frames={rows[0].num_frames}",
            f"transform.crop_pixels={rows[0].crop_pixels}",
        ]
    classes = (rows[0].num_classes if rows else 0) or _USUAL_CLASSES
    config = compose_train(words, data__num_classes=classes)
    node, trusted = plain(config.model), list(config.trusted_packages)
    make_optimizer = build(plain(config.optimizer), name="optimizer", trusted_packages=trusted)
    return profile(
        lambda: build(node, name="model", trusted_packages=trusted),
        make_optimizer,
        name=model,
        num_classes=node.get("num_classes", classes),
        num_frames=config.sampler.num_frames,
        crop_pixels=config.transform.crop_pixels,
        depth=depth,
        num_clips=num_clips,
        device=device,
    )


def panel(one: Profile) -> Any:
    """Return a profile's part of the picture."""
    from videoclf.profiling.picture import Panel

    return Panel(
        title=one.model,
        subtitle=f"{one.num_frames} frames of {one.crop_pixels} x {one.crop_pixels}",
        layers=[(row.name, row.field) for row in one.rows if row.field is not None],
        crop_pixels=one.crop_pixels,
    )


def _console() -> Console:
    from videoclf.cli.tables import output_console

    return output_console()


def _print(console: Console, one: Profile) -> None:
    from rich.table import Table
    from rich.text import Text

    from videoclf.profiling.wording import field_text, output_text, totals

    console.print(
        f"[bold]{one.model}[/bold]  {one.num_frames} frames of {one.crop_pixels} x "
        f"{one.crop_pixels}, {one.num_classes} classes"
    )
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    for place, name in enumerate(
        ("layer", "output", "field T x H x W", "parameters", "MMACs", "MFLOPs", "activations MiB")
    ):
        table.add_column(name, justify="left" if place < 3 else "right", no_wrap=True)
    for row in one.rows:
        table.add_row(
            Text(row.name),
            output_text(row.output),
            field_text(row.field),
            f"{row.parameters:,}",
            f"{row.macs / 1e6:,.1f}",
            f"{2 * row.macs / 1e6:,.1f}",
            f"{row.activation_bytes / 2**20:,.2f}",
        )
    console.print(table)
    console.print()
    from videoclf.cli.tables import print_facts

    print_facts(console, totals(one))
    console.print()


def _print_comparison(console: Console, found: Sequence[Profile]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    for place, name in enumerate(("model", "parameters", "GMACs", "GFLOPs", "peak MiB", "step s")):
        table.add_column(name, justify="left" if place < 1 else "right", no_wrap=True)
    for one in found:
        table.add_row(
            one.model,
            f"{one.parameters:,}",
            f"{one.macs / 1e9:,.3f}",
            f"{2 * one.macs / 1e9:,.3f}",
            f"{one.memory.peak / 2**20:,.0f}",
            f"{one.step.seconds:.3f}" if one.step is not None else "",
        )
    console.print(table)


def _write(path: Path, text: str) -> None:
    from videoclf.cache import atomic_write

    try:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; make room") from error
