"""The ladder in Markdown: what is said beforehand, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from videoclf.ladder.predictions import Claim, say
from videoclf.ladder.strategies import Strategy
from videoclf.ladder.tasks import Column


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
