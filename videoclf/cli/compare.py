"""`videoclf compare`: finished runs side by side, with intervals, tests and costs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from videoclf.comparing.comparison import Table


#: A terminal narrower than this shows accuracy and costs in tables of their own.
_COLUMNS_OF_ALL = 140


def run(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Run folders (runs/<name>/<date>_<time>), or folders of such.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for compare.html, compare.md and compare.json.",
            show_default="runs/comparisons/<date>_<time>",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="What is compared.", show_default="the headline of the reports"),
    ] = None,
    allow_different: Annotated[
        bool,
        typer.Option(
            "--allow-different",
            help="Show runs on other data, or evaluated otherwise, in tables of their own.",
        ),
    ] = False,
) -> None:
    """Compare finished runs: accuracy with intervals, costs, curves, tests.

    Runs that differ in their seed only are one row, named by the settings in
    which it differs from the others.

    [dim]$[/dim] videoclf compare runs/moving_shapes-slow_fusion runs/moving_shapes-early_fusion
    [dim]$[/dim] videoclf compare runs/a runs/b --metric test/video_mean_class_3x1 -o a_or_b
    """
    from rich.text import Text

    from videoclf.cli.tables import output_console
    from videoclf.comparing.comparison import compare
    from videoclf.comparing.finished_run import find_run_folders, read_run
    from videoclf.comparing.writer import write_comparison

    found = find_run_folders(runs)
    for folder in found.unfinished:
        sys.stderr.write(f"{folder} is not finished and left out\n")
    tables = compare(
        [read_run(folder) for folder in found.runs], metric=metric, allow_different=allow_different
    )
    if output is None:
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H%M%S")
        output = Path("runs", "comparisons", stamp)
    write_comparison(output, tables, found.unfinished)
    console = output_console()
    for table in tables:
        _print(console, table, several=len(tables) > 1)
    console.print(Text.assemble(("page  ", "dim"), str(output / "compare.html")), soft_wrap=True)


def _print(console: Console, table: Table, *, several: bool) -> None:
    """Print a table; names are printed as they are, nothing in them is read as markup."""
    from rich.text import Text

    from videoclf.comparing import wording

    if several:
        console.print(Text(wording.table_title(table), style="bold"), soft_wrap=True)
    names = wording.columns(table)
    first_cost = names.index("parameters")
    every = range(len(names))
    narrow = console.width < _COLUMNS_OF_ALL
    for places in (range(first_cost), (0, *every[first_cost:])) if narrow else (every,):
        _print_columns(console, table, places)
        console.print()
    for sentence in wording.sentences(table):
        console.print(Text(sentence, style="dim"))
    if table.pairs:
        console.print()
        for pair in table.pairs:
            console.print(Text(wording.pair_sentence(pair, len(table.pairs))))
        console.print(Text(wording.CHECKPOINTS_NOT_STRATEGIES, style="dim"))
    console.print()


def _print_columns(console: Console, table: Table, places: Sequence[int]) -> None:
    from rich import table as rich_table
    from rich.text import Text

    from videoclf.comparing import wording

    shown = rich_table.Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    for place in places:
        name = wording.columns(table)[place]
        # lists of seeds and intervals may take a second line, single numbers may not
        breaks = place == 0 or name in ("seeds", "each seed") or name.startswith("95")
        shown.add_column(
            name,
            justify="left" if place < 2 else "right",
            no_wrap=not breaks,
            overflow="fold",
        )
    for row in table.rows:
        cells = wording.cells(row)
        shown.add_row(*(Text(cells[place]) for place in places))
    console.print(shown)
