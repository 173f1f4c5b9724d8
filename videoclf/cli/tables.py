"""Tables on stdout: for the eye in a terminal, a row a line where they are piped elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

_ROWS_AT_ONCE = 500
_NO_WRAP_COLUMNS = 10_000


def output_console() -> Console:
    """Return a console on stdout; outside a terminal its lines are as long as they come."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_NO_WRAP_COLUMNS)


def print_problems(console: Console, problems: Iterable[tuple[str, str, str]]) -> None:
    """Print problem, path and detail of each, however many there are.

    Names of files are printed as they are: nothing in them is read as markup.
    """
    rows = iter(problems)
    begin = True
    while chunk := list(itertools.islice(rows, _ROWS_AT_ONCE)):
        table = Table(
            box=None, padding=(0, 3, 0, 0), show_header=begin, header_style="dim", pad_edge=False
        )
        table.add_column("problem", no_wrap=True, style="yellow")
        table.add_column("file", overflow="fold", max_width=60 if console.is_terminal else None)
        table.add_column("what", overflow="fold")
        for path, problem, detail in chunk:
            table.add_row(Text(problem), Text(path), Text(detail))
        console.print(table)
        begin = False


def print_facts(console: Console, facts: Iterable[tuple[str, str]]) -> None:
    """Print pairs of a name and a value, aligned."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, Text(value))
    console.print(table)
