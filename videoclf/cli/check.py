"""`videoclf check`: find the videos that training would stumble over."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videoclf.cli.sources import HELP, Root, find_source
from videoclf.errors import DataError

if TYPE_CHECKING:
    from videoclf.tools.checking import Check
    from videoclf.tools.source import VideoSource


def run(
    source: Annotated[list[str], typer.Argument(metavar="SOURCE", help=HELP)],
    root: Root = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read headers and packets, decode as little as may be.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            help="JSON of an earlier check: find what has another content since, or is gone."
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all problems and all facts to this file.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Files at a time.", show_default="number of cores")
    ] = None,
    seconds_per_file: Annotated[
        float, typer.Option(help="A file that takes longer is a problem; its process is replaced.")
    ] = 600.0,
    journal: Annotated[
        Path | None,
        typer.Option(help="File that notes what is done.", show_default="in the cache folder"),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not go on with an earlier run.")
    ] = False,
) -> None:
    """Find unreadable, truncated, damaged, doubled and changed videos.

    Every file is decoded from begin to end; none is deleted or mended.
    The same command goes on where a stopped one was. Exit code 3: something
    was found.

    [dim]$[/dim] videoclf check /videos
    [dim]$[/dim] videoclf check data=ucf101 data.root=/videos --json ucf101.json
    """
    from videoclf.cli.progress import shown_progress
    from videoclf.cli.stopping import stoppable
    from videoclf.tools.checking import SCHEMA, Check
    from videoclf.tools.found_file import earlier_hashes
    from videoclf.tools.journal import Journal

    began = time.monotonic()
    videos = find_source(source, root, classes_needed=False)
    place = journal or _default_journal(source, videos, quick)
    if fresh:
        place.unlink(missing_ok=True)
    settings = {"quick": quick, "root": str(videos.root.resolve()), "tool": "check"}
    with (
        stoppable("the same command goes on from here"),
        Journal(place, schema=SCHEMA, settings=settings) as notes,
    ):
        check = Check(videos, notes, quick=quick)
        done = check.list_files(earlier_hashes(against) if against else ())
        if not notes.is_new:
            sys.stderr.write(f"going on with the run of {notes.began}, {done} files are done\n")
        with shown_progress("checking") as report:
            check.inspect(
                num_processes=processes or len(os.sched_getaffinity(0)),
                seconds_per_file=seconds_per_file,
                report=report,
            )
        found = check.compare()
        if json_file is not None:
            _write(json_file, check, source)
        summary = _print(check, time.monotonic() - began)
        notes.remove()
    if found:
        raise DataError(f"{summary}; replace these files, or leave them out")


def _default_journal(words: list[str], videos: VideoSource, quick: bool) -> Path:
    """Return a place in the cache folder that the same command finds again."""
    from videoclf.cache import cache_folder

    key = json.dumps([str(videos.root.resolve()), words, quick])
    return cache_folder() / "checks" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.sqlite"


def _write(path: Path, check: Check, words: list[str]) -> None:
    from videoclf.reports.redaction import redact_command
    from videoclf.tools.found_file import write_json

    counts = {"files": check.journal.count("files"), "sound": check.num_sound(), **check.counts()}
    head = {
        "format": "videoclf check 1",
        "source": redact_command(shlex.join(words)),
        "quick": check.quick,
        "counts": counts,
    }
    write_json(path, head, problems=check.problems(), files=check.facts())


def _print(check: Check, seconds: float) -> str:
    """Print problems and counts; return the problems in a few words."""
    from videoclf.cli.tables import output_console, print_problems

    console = output_console()
    total = check.journal.count("files")
    if not total:
        raise DataError(f"no videos are below {check.source.root}; name another folder")
    print_problems(console, check.problems())
    counts = ", ".join(f"{count} {problem}" for problem, count in check.counts().items())
    depth = "looked at" if check.quick else "decoded"
    console.print(
        f"{total} files {depth} in {seconds:.1f} s: {check.num_sound()} sound"
        + (f"; {counts}" if counts else "")
    )
    return f"{total - check.num_sound()} of {total} files have problems ({counts})"
