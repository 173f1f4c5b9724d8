"""How far a download is: a bar in a terminal, a line now and then in a log file; on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

#: Called with the number of bytes that have just come.
Report = Callable[[int], None]
LINE_SECONDS = 10.0


@contextmanager
def shown_download(name: str, *, start: int, total: int | None) -> Iterator[Report]:
    """Show progress while the block runs; call what it gives with each piece that has come.

    Args:
        name: of the file.
        start: bytes that had come before.
        total: bytes of the file, where the server says so.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield _lines(console, name, start, total)
        return
    columns = (
        TextColumn("fetching {task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=total, completed=start)
        yield lambda count: bar.advance(task, count)


def _lines(console: Console, name: str, start: int, total: int | None) -> Report:
    done, last = start, time.monotonic()
    of = "" if total is None else f" of {total / 1e6:.1f}"

    def report(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            console.print(f"fetching {name}: {done / 1e6:.1f}{of} MB")

    return report
