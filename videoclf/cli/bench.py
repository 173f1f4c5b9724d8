"""`videoclf bench`: measure parts of a training on the user's own data and machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoclf.cli.composing import build_data, compose_train
from videoclf.errors import StorageError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videoclf.data.datamodule import VideoDataModule
    from videoclf.tools.loader_timing import LoaderTimes

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def _describe() -> None:
    """Measure how fast your data are loaded."""


@app.command("loader")
def loader(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings, as train.py takes them.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="About how long to measure.")] = 20.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file.")
    ] = None,
) -> None:
    """Measure how fast training clips are loaded, and say what to change.

    The loader is the one of train.py with the same settings; no model is built.

    [dim]$[/dim] videoclf bench loader data=folder data.root=/videos
    [dim]$[/dim] videoclf bench loader data=ucf101 data.root=/videos data.num_workers=8
    """
    config = compose_train(overrides or [])
    datamodule = _datamodule(config)

    from videoclf.tools.loader_advice import advise
    from videoclf.tools.loader_timing import time_loader

    times = time_loader(datamodule, seconds=seconds)
    advice = advise(times)
    _print(times, advice)
    if json_file is not None:
        _write(json_file, times, advice, overrides or [])


def _datamodule(config: DictConfig) -> VideoDataModule:
    """Build the loaders of a training as its ranks do, without a model."""
    from videoclf.config import plain

    data = build_data(config)
    manifest = data.manifest()
    manifest.save()
    resolved: dict[str, Any] = {
        name: plain(config[name]) for name in ("data", "sampler", "transform", "views")
    }
    resolved |= {"seed": config.seed, "trusted_packages": tuple(config.trusted_packages)}

    from videoclf.data.from_config import build_datamodule

    return build_datamodule(resolved, manifest=manifest, folder=data.folder())


def _print(times: LoaderTimes, advice: list[str]) -> None:
    from rich.table import Table

    from videoclf.cli.tables import output_console
    from videoclf.tools.loader_timing import STAGES

    console = output_console()
    workers = f"{times.num_workers} workers" if times.num_workers != 1 else "1 worker"
    console.print(
        f"{times.clips_per_second:.1f} clips/s, {times.frames_per_second:.0f} frames/s with "
        f"{workers} on {times.num_cores} cores; first batch after {times.first_batch_seconds:.1f} s"
    )
    console.print(f"{times.again.cpu_ms_per_clip:.1f} ms of CPU a clip, in one process:\n")
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    for name in ("stage", "share", "ms a clip"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    table.add_column("")
    milliseconds = 1000 * times.again.seconds / times.again.clips
    for stage, share in times.again.shares().items():
        table.add_row(stage, f"{share:.0%}", f"{share * milliseconds:.2f}", STAGES[stage])
    console.print(table)
    console.print("\nwhat to change")
    for line in advice:
        console.print(f"  {line}", soft_wrap=True)


def _write(path: Path, times: LoaderTimes, advice: list[str], words: list[str]) -> None:
    from videoclf.cache import atomic_write
    from videoclf.reports.redaction import redact_command

    figures = asdict(times)
    for name, stages in (("first", times.first), ("again", times.again)):
        figures[name] |= {"shares": stages.shares(), "cpu_ms_per_clip": stages.cpu_ms_per_clip}
    text = {
        "format": "videoclf bench loader 1",
        "overrides": [redact_command(word) for word in words],
        **figures,
        "advice": advice,
    }
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(text, indent=1, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; make room") from error
