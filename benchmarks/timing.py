"""Compare the speed of several ways to do the same work, on a machine that others share.

CPU time of this process (`time.process_time`), one thread a side, rounds interleaved between the
sides, and the median of the rounds' ratios: what else runs on the machine slows both sides of a
round alike.

    seconds = interleaved({"ours": load, "decord": load_with_decord}, rounds=9)
    row = ratio_row("one clip, GOP 12: decord / ours", seconds, "decord", "ours", at_least=1.0)
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from table import Row


def interleaved(
    sides: Mapping[str, Callable[[], object]], *, rounds: int
) -> dict[str, list[float]]:
    """Time each side once a round; odd rounds go backwards, so that no side is always the first.

    A first round, in which caches fill and libraries load, is not counted.

    Returns:
        CPU seconds by side, one number a round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(-1, rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            began = time.process_time()
            sides[name]()
            took = time.process_time() - began
            if number >= 0:
                seconds[name].append(took)
    return seconds


def ratio_row(
    compared: str,
    seconds: Mapping[str, Sequence[float]],
    numerator: str,
    denominator: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """Make a row of the median of the rounds' ratios `numerator` / `denominator`."""
    ratios = [a / b for a, b in zip(seconds[numerator], seconds[denominator], strict=True)]
    low, middle, high = quartiles(ratios)
    return Row(compared, middle, low, high, "x", at_least=at_least, at_most=at_most)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high
