"""`videoclf ladder`: every strategy on every task of the temporal ladder, and what came of it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videoclf.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from videoclf.ladder.cells import Cell
    from videoclf.ladder.strategies import Strategy
    from videoclf.ladder.tasks import Column


def run(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of all runs.")] = Path(
        "runs/ladder"
    ),
    strategies: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy", "-s", help="Only this row; may be repeated.", show_default="all"
        ),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="Only this column; may be repeated.", show_default="all"),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            help="A row of your own: [bold]'name: model=mine model.width=8'[/bold].",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each cell.")] = 1,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Cells at a time.", show_default="one a core")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Ten rows, four columns, half the training; what is proven is not run.",
        ),
    ] = False,
    retries: Annotated[
        bool,
        typer.Option(help="Try other learning rates, and four times the steps, where it fails."),
    ] = True,
    distances: Annotated[
        bool,
        typer.Option(
            "--distances", help="Accuracy against the frames between two events, instead of tasks."
        ),
    ] = False,
    only_report: Annotated[
        bool, typer.Option("--only-report", help="Train nothing; write the page anew.")
    ] = False,
) -> None:
    """Find out which strategy can see what.

    Trains each strategy on each task of the temporal ladder, holds the result against
    theorems and predictions, and writes a heat map, a table and a page. The same command
    goes on where a stopped one was. A cell above a theorem's ceiling is an error.

    [dim]$[/dim] videoclf ladder --quick
    [dim]$[/dim] videoclf ladder -s "3D CNN" -s "early fusion" -t event_order_12 --seeds 3
    [dim]$[/dim] videoclf ladder --distances -s "3D CNN" -s "CNN + LSTM"
    [dim]$[/dim] videoclf ladder --add "mine: model=slow_fusion model.widths=[8,16,32,64]"
    """
    from videoclf.ladder.cells import all_cells
    from videoclf.ladder.predictions import Claim, say

    rows = _rows(strategies or [], add or [], quick=quick)
    columns = _columns(tasks or [], distances=distances, quick=quick)
    cells = all_cells(rows, columns, range(seeds))
    if not only_report:
        wanted = [
            cell
            for cell in cells
            if not (quick and say(cell.strategy, cell.column).claim is Claim.THEOREM)
        ]
        _train(wanted, columns, output, quick=quick, retries=retries, jobs=jobs)
    _report(rows, columns, seeds, output)


def _rows(names: Sequence[str], added: Sequence[str], *, quick: bool) -> list[Strategy]:
    from videoclf.build import nearest
    from videoclf.ladder.strategies import QUICK_STRATEGIES, STRATEGIES, Strategy

    known = {strategy.name: strategy for strategy in STRATEGIES}
    for name in names:
        if name not in known:
            raise ConfigError(f"--strategy={name!r} is no row of the ladder{nearest(name, known)}")
    own = []
    for text in added:
        name, colon, words = text.partition(":")
        if not (colon and name.strip() and "model=" in words):
            raise ConfigError(f"--add={text!r} is not of the form 'name: model=... key=value'")
        own.append(Strategy(name=name.strip(), overrides=tuple(words.split())))
    everything = QUICK_STRATEGIES if quick else STRATEGIES
    chosen = [known[name] for name in names] if names or added else list(everything)
    return [*chosen, *own]


def _columns(names: Sequence[str], *, distances: bool, quick: bool) -> list[Column]:
    from videoclf.build import nearest
    from videoclf.ladder.tasks import COLUMNS, DISTANCE_COLUMNS, MORE_COLUMNS, QUICK_COLUMNS

    if distances and names:
        raise ConfigError("--distances chooses the tasks; leave out --task")
    if distances:
        return list(DISTANCE_COLUMNS)
    known = {column.name: column for column in (*COLUMNS, *MORE_COLUMNS)}
    for name in names:
        if name not in known:
            raise ConfigError(f"--task={name!r} is no task of the ladder{nearest(name, known)}")
    return [known[name] for name in names] or list(QUICK_COLUMNS if quick else COLUMNS)


def _train(
    cells: Sequence[Cell],
    columns: Sequence[Column],
    output: Path,
    *,
    quick: bool,
    retries: bool,
    jobs: int | None,
) -> None:
    from videoclf.cli.composing import build_data, compose_train
    from videoclf.cli.ladder_cell import train_cell
    from videoclf.cli.progress import shown_progress
    from videoclf.cli.stopping import stoppable
    from videoclf.ladder.running import Budget, last_line, run_cells

    began = time.monotonic()
    with stoppable("the same command goes on from here"):
        for column in columns:  # drawn once, by all cores, before cells ask for them
            build_data(compose_train(["data=ladder", *column.overrides])).manifest()
        with shown_progress("ladder") as report:
            failed = run_cells(
                cells,
                output,
                train_cell=train_cell,
                budget=Budget(quick=quick, retries=retries),
                jobs=jobs or len(os.sched_getaffinity(0)),
                report=report,
            )
    minutes = (time.monotonic() - began) / 60
    sys.stdout.write(f"{len(cells)} cells in {minutes:.1f} min\n")
    if failed:
        named = "; ".join(
            f"{each.cell.strategy.name} on {each.cell.column.name}: {last_line(each.log)}"
            for each in failed[:3]
        )
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise ConfigError(
            f"{len(failed)} cell(s) failed ({named}{more}); mend it, say the same again"
        )


def _report(
    rows: Sequence[Strategy], columns: Sequence[Column], num_seeds: int, output: Path
) -> None:
    from videoclf.errors import DataError
    from videoclf.ladder.cells import all_cells, measure
    from videoclf.ladder.page import broken_sentence, write_page
    from videoclf.ladder.tasks import DISTANCE_COLUMNS
    from videoclf.ladder.verdicts import Verdict

    found = {}
    measured_columns = dict.fromkeys((*columns, *DISTANCE_COLUMNS))
    for cell in all_cells(rows, list(measured_columns), range(num_seeds)):
        measured = measure(cell.folder(output))
        if measured is not None:
            found[cell] = measured
    if not found:
        raise DataError(f"{output} holds no finished cell of this ladder; leave out --only-report")
    entries = write_page(found, rows, columns, num_seeds=num_seeds, output=output)
    num_shown = sum(cell.column in columns for cell in found)
    sys.stdout.write(f"{output / 'ladder.html'}: {num_shown} cells\n")
    broken = [broken_sentence(entry) for entry in entries if entry.verdict is Verdict.BROKEN]
    if broken:
        sys.stderr.write(f"error: {'; '.join(broken)}\n")
        raise typer.Exit(1)
