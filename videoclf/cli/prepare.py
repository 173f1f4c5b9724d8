"""`videoclf prepare`: re-encode videos once, so that every epoch reads them fast."""

from __future__ import annotations

import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videoclf.cli.sources import HELP, Root, find_source
from videoclf.errors import ConfigError, DataError, VideoclfError

if TYPE_CHECKING:
    from videoclf.tools.preparing import Preparation
    from videoclf.tools.reencoding import Encoding
    from videoclf.tools.source import VideoSource


def run(
    source: Annotated[list[str], typer.Argument(metavar="SOURCE", help=HELP)],
    destination: Annotated[Path, typer.Argument(help="Folder for the prepared files.")],
    root: Root = None,
    short_side: Annotated[
        int, typer.Option(help="Pixels of the shorter side; smaller videos keep theirs.")
    ] = 256,
    gop: Annotated[int, typer.Option(help="Frames from one keyframe to the next.")] = 12,
    crf: Annotated[float, typer.Option(help="H.264's quality: 18 very good, 28 poor.")] = 20.0,
    preset: Annotated[
        str, typer.Option(help="x264's speed: slower makes smaller files.")
    ] = "veryfast",
    cut: Annotated[
        bool, typer.Option("--cut", help="One file a record, from its start to its end.")
    ] = False,
    audio: Annotated[bool, typer.Option("--audio", help="Keep the sound.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all problems and all facts to this file.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Files at a time.", show_default="number of cores")
    ] = None,
    seconds_per_file: Annotated[
        float, typer.Option(help="A file that takes longer has failed; its process is replaced.")
    ] = 3600.0,
) -> None:
    """Re-encode videos to small files that train several times as fast.

    Frames, times and what is shown stay the same; rotation is applied. Each
    file is read back before it takes its name. manifest.csv lists records and
    hashes, for data=csv. The same command goes on where a stopped one was, and
    adds what is new. Exit code 3: files failed; they are listed.

    [dim]$[/dim] videoclf prepare /videos /prepared
    [dim]$[/dim] videoclf prepare data=ucf101 data.root=/videos /prepared
    """
    from videoclf.cli.progress import shown_progress
    from videoclf.cli.stopping import stoppable
    from videoclf.tools.journal import Journal
    from videoclf.tools.prepared_table import check_labels
    from videoclf.tools.preparing import JOURNAL, SCHEMA, Preparation
    from videoclf.tools.reencoding import Encoder, Encoding

    began = time.monotonic()
    encoding = Encoding(short_side=short_side, gop_frames=gop, crf=crf, preset=preset, audio=audio)
    videos = find_source(source, root, classes_needed=True)
    assert videos.manifest is not None
    check_labels(videos.manifest)
    _check_destination(destination, videos, JOURNAL)
    settings = {**asdict(encoding), "cut": cut, "root": str(videos.root.resolve())}
    with (
        stoppable("the same command goes on from here"),
        Journal(
            destination / JOURNAL, schema=SCHEMA, settings=settings, otherwise="name another folder"
        ) as notes,
    ):
        work = Preparation(videos, destination, notes, encoder=Encoder(encoding), cut=cut)
        ready = work.list_files()
        if not notes.is_new:
            sys.stderr.write(f"going on with the run of {notes.began}, {ready} files are there\n")
        with shown_progress("preparing") as report:
            work.encode(
                num_processes=processes or len(os.sched_getaffinity(0)),
                seconds_per_file=seconds_per_file,
                report=report,
            )
        if json_file is not None:
            _write(json_file, work, encoding, source)
        failed = _print(work, time.monotonic() - began)
    if failed:
        raise DataError(failed)


def _check_destination(destination: Path, videos: VideoSource, journal: str) -> None:
    """Refuse a folder that would mix prepared files with others."""
    if videos.reader == "frames":
        raise ConfigError("data.reader=frames: folders of pictures need no preparing")
    place, root = destination.resolve(), videos.root.resolve()
    if place == root or root in place.parents:
        raise ConfigError(f"{destination} lies in the folder of the videos; name one outside")
    if not destination.exists() or (destination / journal).is_file():
        return
    if not destination.is_dir() or any(destination.iterdir()):
        raise ConfigError(f"{destination} holds something already; name a new folder")


def _write(path: Path, work: Preparation, encoding: Encoding, words: list[str]) -> None:
    from videoclf.reports.redaction import redact_command
    from videoclf.tools.found_file import write_json

    head = {
        "format": "videoclf prepare 1",
        "source": redact_command(shlex.join(words)),
        "encoding": asdict(encoding),
        "cut": work.cut,
        "counts": work.totals(),
    }
    write_json(path, head, problems=work.problems(), files=work.facts())


def _print(work: Preparation, seconds: float) -> str:
    """Write the table of records and print what came of it; return what failed, in a sentence."""
    from videoclf.cli.tables import output_console, print_problems
    from videoclf.tools.prepared_table import NAME, write_table

    console = output_console()
    print_problems(console, work.problems())
    totals = work.totals()
    written = totals["files"] - totals["failed"]
    before, after = totals["source_bytes"] / 1e6, totals["bytes"] / 1e6
    console.print(
        f"{written} of {totals['files']} files prepared in {seconds:.1f} s: "
        f"{totals['frames']} frames, {before:.1f} MB before, {after:.1f} MB now"
    )
    if not written:
        return f"none of {totals['files']} files could be prepared; see why above"
    num_records = write_table(work)
    table = work.destination / NAME
    console.print(f"{num_records} of {len(work.manifest)} records are in {table}; train with")
    console.print(f"  data=csv data.annotations={table}", style="bold")
    if complaint := _complaint(table):
        console.print(f"but it cannot be trained on as it is: {complaint}", style="yellow")
    if not totals["failed"]:
        return ""
    return (
        f"{totals['failed']} of {totals['files']} files could not be prepared and are left out; "
        "replace them and give the same command"
    )


def _complaint(table: Path) -> str | None:
    """Read the table as training would; say what it would complain of."""
    try:
        find_source([str(table)], None, classes_needed=True)
    except VideoclfError as error:
        return str(error)
    return None
