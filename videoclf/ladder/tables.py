"""The ladder in Markdown: what is said beforehand, and what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from videoclf.ladder.predictions import EXPECTED, Claim, say
from videoclf.ladder.strategies import Strategy
from videoclf.ladder.tasks import Column
from videoclf.ladder.verdicts import Entry, Verdict


def predictions_table(strategies: Sequence[Strategy], columns: Sequence[Column]) -> Iterator[str]:
    """Yield the lines of the table of theorems and predictions."""
    yield "| strategy | " + " | ".join(column.name.replace("_", " ") for column in columns) + " |"
    yield "|---|" + ":---:|" * len(columns)
    yield "| *chance* | " + " | ".join(f"*{1 / c.num_classes:.2f}*" for c in columns) + " |"
    for strategy in strategies:
        cells = []
        for column in columns:
            said = say(strategy, column)
            cells.append(
                {
                    Claim.THEOREM: f"≤ {said.ceiling or 0:.2f}",
                    Claim.THEOREM_ON_AVERAGE: f"mean ≤ {said.ceiling or 0:.2f}",
                    Claim.EXPECTED: "≥ 0.90",
                    Claim.NONE: "",
                }[said.claim]
            )
        yield f"| {strategy.name} | " + " | ".join(cells) + " |"


def accuracy_table(
    strategies: Sequence[Strategy], columns: Sequence[Column], found: Sequence[Entry]
) -> Iterator[str]:
    """Yield the lines of the table of what was measured: test, and beside it training accuracy.

    A theorem's ceiling that held is marked by =, one that did not by !; a prediction that was
    missed by *. What was not run stays empty.
    """
    by_place = {(entry.strategy.name, entry.column.name): entry for entry in found}
    marks = {Verdict.PROVEN: " =", Verdict.BROKEN: " !", Verdict.MISSED: " *"}
    yield "| strategy | " + " | ".join(column.name.replace("_", " ") for column in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for strategy in strategies:
        texts = []
        for column in columns:
            entry = by_place.get((strategy.name, column.name))
            if entry is None:
                texts.append("")
                continue
            train = statistics.fmean(each.train for each in entry.measured)
            shown = f"{entry.test:.2f}{marks.get(entry.verdict, '')} ({train:.2f})"
            texts.append(f"**{shown}**" if entry.test >= EXPECTED else shown)
        yield f"| {strategy.name} | " + " | ".join(texts) + " |"
