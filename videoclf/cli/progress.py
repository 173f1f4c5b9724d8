"""How far a long tool is: a bar in a terminal, a line now and then in a log file; on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

#: Called with (files done, files in all, problems so far).
Report = Callable[[int, int, int], None]
LINE_SECONDS = 30.0


@contextmanager
def shown_progress(what: str) -> Iterator[Report]:
    """Show progress while the block runs; call what it gives as often as you like.

    Args:
        what: what is being done, such as "checking".
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield _lines(console, what)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("[dim]elapsed[/dim]"),
        TimeElapsedColumn(),
        TextColumn("[dim]left[/dim]"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[problems]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, problems="")

        def update(done: int, total: int, problems: int) -> None:
            shown = f"[yellow]{problems} problems[/yellow]" if problems else ""
            bar.update(task, completed=done, total=total, problems=shown)

        yield update


def _lines(console: Console, what: str) -> Report:
    began = last = time.monotonic()
    first_done: int | None = None

    def update(done: int, total: int, problems: int) -> None:
        nonlocal last, first_done
        now = time.monotonic()
        if first_done is None:
            first_done = done
        if now - last < LINE_SECONDS:
            return
        last = now
        left = (now - began) / max(1, done - first_done) * (total - done)
        console.print(f"{what} {done}/{total}  {problems} problems  {left:.0f} s left")

    return update
