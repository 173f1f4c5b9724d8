"""The accuracy that the theorems are about: tied scores share the point.

A blind network gives all clips of an orbit the same scores but for rounding. Where its two best
scores differ by less than that, an ordinary argmax would let the rounding decide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Probabilities that differ by less are tied.
TOLERANCE = 1e-4


def tied_accuracy(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    tolerance: float = TOLERANCE,
) -> float:
    """Return the mean credit of clips: 1 / (number of best classes) where the label is one of them.

    Args:
        probabilities: (N, K).
        labels: (N,), in [0, K).
        tolerance: best classes are those within it of the highest.
    """
    best = probabilities >= probabilities.max(axis=1, keepdims=True) - tolerance  # (N, K)
    credit = best[np.arange(len(labels)), labels] / best.sum(axis=1)
    return float(credit.mean())
