"""`videoclf probe`: how much of a network's accuracy is motion."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoclf.cli import trained
from videoclf.errors import ConfigError, DataError

if TYPE_CHECKING:
    from videoclf.data.datamodule import VideoDataModule
    from videoclf.order_probe.measuring import OrderProbe


def run(
    checkpoint: Annotated[Path, typer.Argument(help="A run's best.ckpt.", show_default=False)],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SETTINGS]",
            help="As evaluate.py takes them: [bold]data.root=/videos views.num_clips=1[/bold].",
        ),
    ] = None,
    subset: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all numbers to a file.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the accuracies, as SVG.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda.", show_default="cuda where there is one")
    ] = None,
) -> None:
    """Find how much of a network's accuracy is motion.

    The same clips in order, reversed, shuffled, frozen at one frame, and frame
    by frame: what is lost is what the network draws from motion and order. (A
    probe of what features know is another thing: head=linear of train.py.)

    [dim]$[/dim] videoclf probe best.ckpt
    [dim]$[/dim] videoclf probe best.ckpt views.num_clips=1 --json probe.json --picture probe.svg
    """
    from videoclf.cli.progress import shown_progress
    from videoclf.cli.stopping import stoppable
    from videoclf.order_probe.measuring import measure
    from videoclf.order_probe.wording import sentence
    from videoclf.predicting.network import build_network
    from videoclf.types import SUBSETS

    if subset not in SUBSETS:
        raise ConfigError(f"--subset={subset} is none of {', '.join(SUBSETS)}")
    found_settings, datamodule = _read(checkpoint, settings or [])
    model = build_network(found_settings, device)
    with stoppable("say the same again"), shown_progress("probing") as report:
        found = measure(model, datamodule, subset, report)
    allowed = found_settings["data"]["max_unreadable"]
    if len(found.unreadable) > allowed:
        first = found.unreadable[0]
        raise DataError(
            f"{len(found.unreadable)} unreadable video(s), {allowed} allowed, such as "
            f"{first.path}: {first.reason}; mend them, or count up to N as wrong with "
            "data.max_unreadable=N"
        )
    protocol = f"{subset}/video_top1_{datamodule.views['test'].name}"
    _print(found, protocol)
    sys.stdout.write(f"\n{sentence(found)}\n")
    _write(found, checkpoint, protocol, json_file, picture)


def _read(checkpoint: Path, overrides: list[str]) -> tuple[dict[str, Any], VideoDataModule]:
    """Find the data of the checkpoint, or those named, in its classes."""
    from videoclf.cli.composing import build_data
    from videoclf.config import plain
    from videoclf.config_from_checkpoint import align_classes
    from videoclf.data.from_config import build_datamodule
    from videoclf.data.manifest import Manifest

    words = trained.with_own_views(checkpoint, overrides)
    config = trained.compose_checkpoint(checkpoint, words)
    names = config.data.class_names
    config.data.class_names = None  # those of the data are found, and then brought into these
    data = build_data(config)
    manifest = data.manifest()
    config.data.class_names = names
    settings = trained.without_stores(plain(config))
    trained.check_classifies(checkpoint, settings)
    settings |= {"choices": {}, "manifest": {"path": str(manifest.save())}}
    settings = align_classes(settings)
    aligned = Manifest.open(settings["manifest"]["path"])
    return settings, build_datamodule(settings, manifest=aligned, folder=data.folder())


def _print(found: OrderProbe, protocol: str) -> None:
    from rich.table import Table

    from videoclf.cli.tables import output_console
    from videoclf.order_probe.wording import percent

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    for title in ("clips", protocol, "lost against plain"):
        table.add_column(title, no_wrap=True)
    for name in found.hits:
        lost = "" if name == "plain" else percent(found.loss_of(name))
        table.add_row(name, percent(found.accuracy(name)), lost)
    table.add_row("(most frequent class)", f"{found.chance:.1%}", "", style="dim")
    console = output_console()
    console.print(table)
    console.print(f"{len(found.labels)} videos, 95 % intervals by bootstrap")


def _write(
    found: OrderProbe,
    checkpoint: Path,
    protocol: str,
    json_file: Path | None,
    picture: Path | None,
) -> None:
    from videoclf.order_probe.picture import draw
    from videoclf.order_probe.wording import sentence
    from videoclf.predicting.timeline_files import written

    if json_file is not None:
        about = {"checkpoint": str(checkpoint), "protocol": protocol, "said": sentence(found)}
        with written(json_file) as file:
            text = json.dumps(found.as_json() | about, ensure_ascii=False, indent=1)
            file.write_text(text, encoding="utf-8")
    if picture is not None:
        title = "How much of the accuracy is motion"
        subtitle = f"{protocol} of {len(found.labels)} videos"
        with written(picture) as file:
            file.write_text(draw(found, title=title, subtitle=subtitle), encoding="utf-8")
