"""Exact tests of counts against chance, and the correction for asking many questions at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

#: Outcomes as probable as the observed one but for rounding count as equally probable.
_TIE = 1e-9


def binomial_p_value(
    successes: int,
    trials: int,
    chance: float,
    alternative: Literal["greater", "less", "two-sided"] = "two-sided",
) -> float:
    """Return how probable a count this extreme is if every trial succeeds with `chance`.

    Exact: the binomial probabilities are summed. Two-sided is the sum over all outcomes that are
    at most as probable as the observed one, as in R's `binom.test`. Without trials it is 1.

    Args:
        successes: from 0 to `trials`.
        trials: independent ones.
        chance: probability of a success, in [0, 1].
        alternative: "greater" asks for `successes` or more, "less" for `successes` or fewer.

    Raises:
        ValueError: a count or the chance is out of range, or the alternative is unknown.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must be from 0 to {trials} (trials), not {successes}")
    if not 0 <= chance <= 1:
        raise ValueError(f"chance must be from 0 to 1, not {chance}")
    if alternative == "greater":
        outcomes = [_probability(k, trials, chance) for k in range(successes, trials + 1)]
    elif alternative == "less":
        outcomes = [_probability(k, trials, chance) for k in range(successes + 1)]
    elif alternative == "two-sided":
        limit = _probability(successes, trials, chance) * (1 + _TIE)
        every = (_probability(k, trials, chance) for k in range(trials + 1))
        outcomes = [probability for probability in every if probability <= limit]
    else:
        raise ValueError(
            f'alternative must be "greater", "less" or "two-sided", not {alternative!r}'
        )
    return min(1.0, math.fsum(outcomes))


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value of McNemar's test for two classifiers on one test list.

    Examples that both get right, or both wrong, say nothing about which is better; of the others
    each would win half if the two were equally good. Without such examples it is 1.

    Args:
        only_first: examples that only the first gets right.
        only_second: those that only the second gets right.

    Source: McNemar (1947), in its exact binomial form.
    """
    return binomial_p_value(only_first, only_first + only_second, 0.5)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in their order.

    Comparing each with 0.05 keeps the probability of one false alarm or more below 0.05, whatever
    the dependence between the tests. The smallest of n is multiplied by n, the next by n - 1, and
    so on; none comes out smaller than one before it, and none above 1.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".

    Raises:
        ValueError: a p-value is not in [0, 1].
    """
    wrong = [p for p in p_values if not 0 <= p <= 1]
    if wrong:
        raise ValueError(f"p-values must be from 0 to 1, not {wrong[0]}")
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _probability(successes: int, trials: int, chance: float) -> float:
    """Return the binomial probability; logarithms keep thousands of trials in range."""
    if chance in (0.0, 1.0):
        return float(successes == trials * chance)
    ways = (
        math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    )
    failures = trials - successes
    return math.exp(ways + successes * math.log(chance) + failures * math.log1p(-chance))
