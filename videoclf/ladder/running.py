"""Trains a ladder's cells, one process a core, each cell's attempts one after another.

A stopped run goes on where it was: finished attempts are kept, half-done ones begin anew.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from videoclf.ladder.attempts import Attempt, next_attempt
from videoclf.ladder.cells import Cell, read_outcomes
from videoclf.ladder.predictions import say

#: (overrides, run folder, log file) -> ends the process; of a module that the fork server imports.
TrainCell = Callable[[Sequence[str], str, str], None]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a cell may cost.

    Args:
        quick: half the epochs, one rate, no second chance.
        retries: other rates and more epochs where a cell falls short.
    """

    quick: bool
    retries: bool


@dataclass(frozen=True)
class Failed:
    """An attempt that ended in an error.

    Args:
        cell: of the ladder.
        exit_code: of the process.
        log: what it said.
    """

    cell: Cell
    exit_code: int
    log: Path


def run_cells(
    cells: Sequence[Cell],
    output: Path,
    *,
    train_cell: TrainCell,
    budget: Budget,
    jobs: int,
    report: Callable[[int, int, int], None],
) -> list[Failed]:
    """Train whatever is missing.

    Args:
        cells: of the ladder, in order.
        output: folder of all runs.
        train_cell: trains one attempt in a process of its own.
        budget: of a cell.
        jobs: processes at a time.
        report: called with (cells done, cells in all, failed ones).

    Returns:
        The cells that failed; the others are done.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([train_cell.__module__])
    os.environ["OMP_NUM_THREADS"] = "1"  # a core a process
    waiting = deque(cell for cell in cells if _next(cell, output, budget) is not None)
    running: list[_Running] = []
    failed: list[Failed] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(
                    _start(waiting.popleft(), output, budget, train_cell, context.Process)
                )
            report(len(cells) - len(waiting) - len(running), len(cells), len(failed))
            wait([each.process.sentinel for each in running], timeout=30)
            for each in [each for each in running if not each.process.is_alive()]:
                running.remove(each)
                if each.process.exitcode:
                    failed.append(Failed(each.cell, each.process.exitcode, each.log))
                elif _next(each.cell, output, budget) is not None:
                    waiting.appendleft(each.cell)
        report(len(cells), len(cells), len(failed))
    finally:
        for each in running:
            each.process.terminate()
        for each in running:
            each.process.join(20)
            each.process.kill()
    return failed


@dataclass(frozen=True)
class _Running:
    """An attempt under way."""

    cell: Cell
    process: BaseProcess
    log: Path


def _start(
    cell: Cell,
    output: Path,
    budget: Budget,
    train_cell: TrainCell,
    new_process: Callable[..., BaseProcess],
) -> _Running:
    """Start the next attempt of a cell that has one."""
    attempt = _next(cell, output, budget)
    assert attempt is not None
    folder = cell.folder(output)
    run, log = folder / attempt.folder_name, folder / f"{attempt.folder_name}.log"
    shutil.rmtree(run, ignore_errors=True)  # half done
    folder.mkdir(parents=True, exist_ok=True)
    process = new_process(target=train_cell, args=(cell.overrides(attempt), str(run), str(log)))
    process.start()
    return _Running(cell, process, log)


def _next(cell: Cell, output: Path, budget: Budget) -> Attempt | None:
    return next_attempt(
        read_outcomes(cell.folder(output)),
        say(cell.strategy, cell.column),
        num_classes=cell.column.num_classes,
        quick=budget.quick,
        retries=budget.retries,
    )


def last_line(log: Path) -> str:
    """Return the last line that a failed attempt printed."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"nothing was said in {log}"
