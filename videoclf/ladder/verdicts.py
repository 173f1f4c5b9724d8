"""What a ladder's cells say about the theorems and predictions, and where they differ from them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from videoclf.comparing.significance import binomial_p_value, holm
from videoclf.ladder.cells import Cell, Measured
from videoclf.ladder.predictions import EXPECTED, Claim, Said, say
from videoclf.ladder.strategies import Strategy
from videoclf.ladder.tasks import Column

#: What rounding may add to a ceiling; a theorem leaves room for nothing else.
_ROUNDING = 1e-6
#: Above it, corrected for the number of cells, a difference from chance is put down to chance.
SIGNIFICANT = 0.05
#: The tasks on which nothing can be learnt.
CONTROLS = ("control",)


class Verdict(Enum):
    """How a cell stands to what was said."""

    PROVEN = "at or below the theorem's ceiling"
    BROKEN = "above the theorem's ceiling: a fault"
    KEPT = "as predicted"
    MISSED = "prediction missed"
    OPEN = "nothing was said"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A square of the heat map: a strategy on a task, over its seeds.

    Args:
        strategy: the row.
        column: the task.
        said: beforehand.
        measured: of each seed that was run.
    """

    strategy: Strategy
    column: Column
    said: Said
    measured: tuple[Measured, ...]

    @property
    def test(self) -> float:
        """Mean test accuracy over seeds."""
        return statistics.fmean(each.test for each in self.measured)

    @property
    def share_expected(self) -> float:
        """Share of the seeds at `EXPECTED` or more."""
        return statistics.fmean(each.test >= EXPECTED for each in self.measured)

    @property
    def verdict(self) -> Verdict:
        """How the cell stands to what was said; an average's ceiling is judged over seeds."""
        if self.said.claim is Claim.THEOREM:
            assert self.said.ceiling is not None
            highest = max(each.test for each in self.measured)
            return Verdict.BROKEN if highest > self.said.ceiling + _ROUNDING else Verdict.PROVEN
        if self.said.claim is Claim.EXPECTED:
            return Verdict.KEPT if self.test >= EXPECTED else Verdict.MISSED
        return Verdict.OPEN


@dataclass(frozen=True)
class Flag:
    """A control that differs from chance by more than chance explains.

    Args:
        entry: the cell.
        p_value: two-sided, exact, corrected by Holm's method for all controls.
    """

    entry: Entry
    p_value: float


def entries(cells: Mapping[Cell, Measured]) -> list[Entry]:
    """Join the seeds of each strategy and task that were run, in the cells' order."""
    joined: dict[tuple[Strategy, Column], list[Measured]] = {}
    for cell, measured in cells.items():
        joined.setdefault((cell.strategy, cell.column), []).append(measured)
    return [
        Entry(strategy=row, column=column, said=say(row, column), measured=tuple(measured))
        for (row, column), measured in joined.items()
    ]


def flags(found: Sequence[Entry]) -> list[Flag]:
    """Test the controls against chance; return those that differ from it."""
    controls = [entry for entry in found if entry.column.name in CONTROLS]
    p_values = [
        binomial_p_value(
            round(sum(each.test * each.num_clips for each in entry.measured)),
            sum(each.num_clips for each in entry.measured),
            1 / entry.column.num_classes,
        )
        for entry in controls
    ]
    return [
        Flag(entry, p) for entry, p in zip(controls, holm(p_values), strict=True) if p < SIGNIFICANT
    ]


def sentence(strategy: Strategy, found: Sequence[Entry]) -> str:
    """Say in words what a row of the heat map shows."""
    own = [entry for entry in found if entry.strategy == strategy and not _is_control(entry)]
    if not own:
        return "Not run."
    parts = [
        _named("Sees", [e for e in own if e.test >= EXPECTED]),
        _named("Sees in part", [e for e in own if _in_part(e)]),
        _named(
            "Cannot, by a theorem, and did not", [e for e in own if e.verdict is Verdict.PROVEN]
        ),
        _named("Did not, though predicted", [e for e in own if e.verdict is Verdict.MISSED]),
        _named(
            "Did not, and nothing had been said",
            [e for e in own if e.verdict is Verdict.OPEN and e.test < EXPECTED and not _in_part(e)],
        ),
        _named("ABOVE A CEILING", [e for e in own if e.verdict is Verdict.BROKEN]),
    ]
    return " ".join(part for part in parts if part)


def _is_control(entry: Entry) -> bool:
    return entry.column.name in CONTROLS


def _in_part(entry: Entry) -> bool:
    """Return whether a cell that nothing was said of lies halfway between chance and `EXPECTED`."""
    halfway = (1 / entry.column.num_classes + EXPECTED) / 2
    return entry.verdict is Verdict.OPEN and halfway <= entry.test < EXPECTED


def _named(what: str, some: Sequence[Entry]) -> str:
    if not some:
        return ""
    names = ", ".join(f"{e.column.name.replace('_', ' ')} ({e.test:.2f})" for e in some)
    return f"{what}: {names}."
