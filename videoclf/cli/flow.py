"""`videoclf flow`: compute optical flow once, stored exactly; or look at that of one video."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoclf.cli.sources import HELP, Root, find_source
from videoclf.errors import ConfigError, DataError

if TYPE_CHECKING:
    from videoclf.flow import FlowEstimator
    from videoclf.flow.storing import FlowEncoder
    from videoclf.tools.preparing import Preparation
    from videoclf.tools.source import VideoSource

JOURNAL = ".flow.sqlite"
#: Clipping more than this share of values deserves a word.
_CLIPPED_SHARE = 0.01


def run(
    places: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE DESTINATION", help=f"{HELP} Then a folder for the flow."),
    ] = None,
    root: Root = None,
    method: Annotated[
        str, typer.Option(help="dis, farneback, lucas_kanade, raft or tvl1.")
    ] = "dis",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A setting of the method; as often as needed."
        ),
    ] = None,
    short_side: Annotated[
        int,
        typer.Option(help="Pixels of the shorter side of the flow; smaller videos keep theirs."),
    ] = 256,
    bound: Annotated[
        float, typer.Option(help="Pixels a frame beyond which displacements are clipped.")
    ] = 20.0,
    backward: Annotated[
        bool, typer.Option("--backward", help="From each frame to the one before it.")
    ] = False,
    show: Annotated[
        Path | None,
        typer.Option(
            metavar="VIDEO",
            help="Show this video's flow in colours; writes to DESTINATION or here.",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all problems and all facts to this file.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Files at a time.", show_default="number of cores; 1 for raft"),
    ] = None,
    seconds_per_file: Annotated[
        float, typer.Option(help="A file that takes longer has failed; its process is replaced.")
    ] = 7200.0,
) -> None:
    """Compute the optical flow of videos, once, for two-stream networks.

    Each video becomes an MP4 of exact 8-bit codes, a frame fewer than it has,
    at the same times; it is read back before it takes its name. manifest.csv
    lists the records in their order, for data=csv. The same command goes on
    where a stopped one was. Exit code 3: files failed; they are listed.

    [dim]$[/dim] videoclf flow data=ucf101 data.root=/videos /flow
    [dim]$[/dim] videoclf flow /videos /flow --method farneback --set levels=5
    [dim]$[/dim] videoclf flow --show /videos/swim/a.mp4
    """
    from videoclf.flow.quantisation import Quantisation
    from videoclf.flow.storing import FlowEncoder

    words = list(places or ())
    estimator = build_estimator(method, settings or ())
    try:
        quantisation = Quantisation(bound)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    encoder = FlowEncoder(method, estimator, quantisation, short_side, backward)
    if show is not None:
        _show(show, words, encoder)
        return
    if len(words) < 2:
        raise ConfigError(
            "name the videos and a folder for their flow: videoclf flow SOURCE DESTINATION; or "
            "look at one: videoclf flow --show VIDEO"
        )
    *source, destination = words
    _store(
        find_source(source, root, classes_needed=True),
        Path(destination),
        encoder,
        words=source,
        json_file=json_file,
        processes=processes or (1 if method == "raft" else len(os.sched_getaffinity(0))),
        seconds_per_file=seconds_per_file,
    )


def build_estimator(method: str, words: list[str] | tuple[str, ...]) -> FlowEstimator:
    """Build a method from its name and settings as they stand on the command line.

    Raises:
        CheckpointError: the weights of a network are not there.
        ConfigError: no such method or setting, or a value that it refuses.
    """
    import yaml

    from videoclf.build import check_arguments
    from videoclf.flow import estimator_class

    settings: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        try:
            settings[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            equals = ""
        if not equals:
            raise ConfigError(f"cannot parse --set {word!r}; write --set key=value")
    try:
        cls: Any = estimator_class(method)
        check_arguments(cls, settings, name=method)
        for field in fields(cls):
            if field.name in settings:
                settings[field.name] = _typed(method, field.name, settings[field.name], field.type)
        estimator: FlowEstimator = cls(**settings)
    except ValueError as error:
        raise error if isinstance(error, ConfigError) else ConfigError(str(error)) from error
    return estimator


def _typed(method: str, key: str, value: Any, kind: Any) -> Any:
    """Return a value as the setting's type; `kind` is its annotation, such as "int | None"."""
    kinds = {"int": int, "float": (int, float), "str": str, "None": type(None)}
    allowed = str(kind).split(" | ")
    if isinstance(value, bool) or not any(isinstance(value, kinds[name]) for name in allowed):  # type: ignore[arg-type]
        raise ConfigError(f"{method}: {key}={value!r} is no {' or '.join(allowed)}")
    return float(value) if allowed == ["float"] else value


def _show(video: Path, words: list[str], encoder: FlowEncoder) -> None:
    from videoclf.flow.showing import show_flow

    if len(words) > 1:
        raise ConfigError(f"{' '.join(words)!r}: --show takes one folder to write to, or none")
    folder = Path(words[0]) if words else Path()
    shown = show_flow(
        video,
        folder,
        encoder.estimator,
        short_side=encoder.short_side,
        backward=encoder.backward,
    )
    typer.echo(f"{shown.video}\n{shown.filmstrip}")
    typer.echo(f"the full colour is {shown.full_pixels:.1f} pixels a frame")


def _store(
    videos: VideoSource,
    destination: Path,
    encoder: FlowEncoder,
    *,
    words: list[str],
    json_file: Path | None,
    processes: int,
    seconds_per_file: float,
) -> None:
    from dataclasses import replace

    from videoclf.cli.progress import shown_progress
    from videoclf.cli.stopping import stoppable
    from videoclf.flow.storing import SCHEMA
    from videoclf.tools.journal import Journal
    from videoclf.tools.prepared_table import check_labels
    from videoclf.tools.preparing import Preparation

    began = time.monotonic()
    assert videos.manifest is not None
    check_labels(videos.manifest)
    _check_destination(destination, videos)
    encoder = replace(encoder, folders=videos.reader == "frames")
    settings = {**_settings(encoder), "root": str(videos.root.resolve())}
    with (
        stoppable("the same command goes on from here"),
        Journal(
            destination / JOURNAL, schema=SCHEMA, settings=settings, otherwise="name another folder"
        ) as notes,
    ):
        work = Preparation(videos, destination, notes, encoder=encoder, cut=False)
        ready = work.list_files()
        if not notes.is_new:
            sys.stderr.write(f"going on with the run of {notes.began}, {ready} files are there\n")
        with shown_progress("flow") as report:
            work.encode(num_processes=processes, seconds_per_file=seconds_per_file, report=report)
        if json_file is not None:
            _write(json_file, work, encoder, words)
        failed = _print(work, encoder, time.monotonic() - began)
    if failed:
        raise DataError(failed)


def _settings(encoder: FlowEncoder) -> dict[str, Any]:
    return {
        "method": encoder.method,
        **asdict(encoder.estimator),  # type: ignore[call-overload]
        "bound": encoder.quantisation.bound_pixels,
        "short_side": encoder.short_side,
        "backward": encoder.backward,
    }


def _check_destination(destination: Path, videos: VideoSource) -> None:
    """Refuse a folder that would mix flow with other files."""
    place, root = destination.resolve(), videos.root.resolve()
    if place == root or root in place.parents:
        raise ConfigError(f"{destination} lies in the folder of the videos; name one outside")
    if not destination.is_dir() or (destination / JOURNAL).is_file():
        return
    if any(destination.iterdir()):
        raise ConfigError(f"{destination} holds something already; name a new folder")


def _write(path: Path, work: Preparation, encoder: FlowEncoder, words: list[str]) -> None:
    from videoclf.flow.storing import storage_totals
    from videoclf.reports.redaction import redact_command
    from videoclf.tools.found_file import write_json

    head = {
        "format": "videoclf flow 1",
        "source": redact_command(shlex.join(words)),
        "settings": _settings(encoder),
        "counts": work.totals(),
        "storage": asdict(storage_totals(work.journal)),
    }
    write_json(path, head, problems=work.problems(), files=work.facts())


def _print(work: Preparation, encoder: FlowEncoder, seconds: float) -> str:
    """Write the table of records and print what came of it; return what failed, in a sentence."""
    from videoclf.cli.tables import output_console, print_problems
    from videoclf.flow.storing import storage_totals
    from videoclf.tools.prepared_table import NAME, write_table

    console = output_console()
    print_problems(console, work.problems())
    totals, stored = work.totals(), storage_totals(work.journal)
    written = totals["files"] - totals["failed"]
    console.print(
        f"flow of {written} of {totals['files']} videos in {seconds:.1f} s: "
        f"{stored.num_fields} fields, {stored.num_bytes / 1e6:.1f} MB, "
        f"{stored.num_bytes / max(1, stored.num_fields) / 1e3:.1f} kB a field"
    )
    if not written:
        return f"the flow of none of {totals['files']} videos could be stored; see why above"
    bound, step = encoder.quantisation.bound_pixels, encoder.quantisation.step_pixels
    console.print(
        f"codes of {step:.3f} pixels are off by {stored.rounding_mean:.3f} on average, "
        f"{stored.rounding_largest:.3f} at most; {stored.clipped_share:.3%} of values lie beyond "
        f"{bound:g} pixels and are clipped, the largest is {stored.largest_pixels:.1f}"
    )
    if stored.clipped_share > _CLIPPED_SHARE:
        console.print("that is a lot: give a larger --bound, or a smaller --short-side")
    num_records = write_table(work, with_sources=True)
    table = work.destination / NAME
    console.print(f"{num_records} of {len(work.manifest)} records are in {table}")
    if not totals["failed"]:
        return ""
    return (
        f"the flow of {totals['failed']} of {totals['files']} videos is missing; replace these "
        "videos and give the same command"
    )
