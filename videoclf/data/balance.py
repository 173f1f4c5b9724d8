"""How often an epoch reads each training video: `data.balance`.

    none         once; a class counts by its number of videos
    square_root  a class counts by the square root of that number
    classes      all classes count alike

An epoch has as many videos as there are in any case. Each class gets its share of them, rounded up
or down; within the class no video is read twice more than another. What is rounded up is drawn anew
in each epoch, from (seed, epoch) alone. A video of several classes counts as the rarest of them.

Source: Kang et al. 2020, "Decoupling Representation and Classifier", section 4.1, equation 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Balance = Literal["none", "square_root", "classes"]
_EXPONENTS: dict[Balance, float] = {"square_root": 0.5, "classes": 0.0}


def check_balance(balance: str) -> None:
    """Refuse an unknown one.

    Raises:
        ValueError: such.
    """
    if balance not in get_args(Balance):
        valid = ", ".join(get_args(Balance))
        raise ValueError(f"data.balance={balance!r} must be one of {valid}")


@dataclass(frozen=True)
class Reads:
    """How often an epoch reads each of N videos on average.

    Args:
        expected: float64 (N,), summing to N.
        classes: int64 (N,), the class that a video is drawn for; all 0 where any has several.
    """

    expected: np.ndarray
    classes: np.ndarray

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw an epoch in random order.

        Returns:
            Places among the videos, int64 (N,), and how often each has been read before in this
            epoch, int64 (N,).
        """
        count = len(self.expected)
        order = generator.permutation(count)
        order = order[np.argsort(self.classes[order], kind="stable")]
        # Systematic sampling: videos lie along a line, each as long as it is expected, and those
        # are read over which a comb of step 1 has a tooth. The classes are parts of that line.
        ends = np.cumsum(self.expected[order])
        ends[-1] = count  # not a rounding error beside it
        teeth = np.floor(ends + generator.random()).astype(np.int64)
        times = np.diff(teeth, prepend=0)
        places = np.repeat(order, times)
        before = np.arange(count) - np.repeat(np.cumsum(times) - times, times)
        shuffled = generator.permutation(count)
        return places[shuffled], before[shuffled]


def expected_reads(lengths: np.ndarray, labels: np.ndarray, balance: Balance) -> Reads | None:
    """Return how often an epoch reads each video; None where it reads each once.

    Args:
        lengths: int (N,), labels of each video.
        labels: int, those of all videos, one after another.
        balance: how classes count.
    """
    if balance == "none":
        return None
    support = np.bincount(labels, minlength=1)
    weight_of = np.maximum(support, 1) ** (_EXPONENTS[balance] - 1.0)
    unlabelled = max(1, int(np.count_nonzero(lengths == 0)))  # a class of their own
    weights = np.full(len(lengths), unlabelled ** (_EXPONENTS[balance] - 1.0))
    weights[lengths > 0] = 0.0
    np.maximum.at(weights, np.repeat(np.arange(len(lengths)), lengths), weight_of[labels])
    single = bool((lengths == 1).all())
    return Reads(
        expected=weights * (len(weights) / weights.sum()),
        classes=np.asarray(labels, np.int64) if single else np.zeros(len(lengths), np.int64),
    )
