"""Which trainings a cell takes: a rate chosen on validation, and a second chance with more steps.

    1. the first rate of `RATES`; done at `EXPECTED` or more, on validation
    2. the other rates; the best of the three, on validation, counts
    3. still short of `EXPECTED`, but above chance: four times the epochs at the best rate

"Cannot" is not "did not": a cell that fails has had every rate and, where it had begun to learn,
four times the steps. A cell whose ceiling is a theorem is trained once, for a quarter of the
epochs: no weights can exceed it, and any excess is a fault of the implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videoclf.ladder.predictions import EXPECTED, Claim, Said

RATES = (0.003, 0.001, 0.01)
EPOCHS, QUICK_EPOCHS, THEOREM_EPOCHS = 4, 2, 1
MORE = 4
#: Validation accuracy above chance from which more steps are tried: 0.05 is three standard errors
#: of 240 clips for two classes, rounded down.
BEGUN = 0.05


@dataclass(frozen=True, order=True)
class Attempt:
    """One training of a cell.

    Args:
        epochs: how long.
        rate: the optimiser's learning rate.
    """

    epochs: int
    rate: float

    @property
    def folder_name(self) -> str:
        """Where it lies in the cell's folder."""
        return f"rate{self.rate:g}_epochs{self.epochs}"


@dataclass(frozen=True)
class Outcome:
    """A finished attempt.

    Args:
        attempt: which.
        val: accuracy on the validation clips, of the checkpoint that was kept.
    """

    attempt: Attempt
    val: float


def next_attempt(
    outcomes: Sequence[Outcome], said: Said, *, num_classes: int, quick: bool, retries: bool
) -> Attempt | None:
    """Return what is to be trained next of a cell, or None where it is done."""
    tried = {outcome.attempt for outcome in outcomes}
    if said.claim is Claim.THEOREM:
        first = Attempt(THEOREM_EPOCHS, RATES[0])
        return None if first in tried else first
    epochs = QUICK_EPOCHS if quick else EPOCHS
    for rate in RATES if retries and not quick else RATES[:1]:
        if Attempt(epochs, rate) not in tried:
            return Attempt(epochs, rate)
        if max(outcome.val for outcome in outcomes) >= EXPECTED:
            return None
    best = chosen(outcomes)
    more = Attempt(MORE * epochs, best.attempt.rate)
    begun = best.val >= 1 / num_classes + BEGUN
    return more if retries and not quick and begun and more not in tried else None


def chosen(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the attempt that counts: the best on validation; of equals, the shorter."""
    return max(outcomes, key=lambda outcome: (outcome.val, -outcome.attempt.epochs))
