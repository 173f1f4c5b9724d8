"""From a label a window to segments: merged where the label stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Segment:
    """A stretch of time with one label.

    `probability` is the label's mean over the windows that speak for the stretch. Times are
    seconds from the first frame, half open.
    """

    start: float
    end: float
    label: str
    probability: float


def merge(
    bounds: np.ndarray, class_ids: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> list[Segment]:
    """Merge the stretches that windows speak for, where one likeliest class follows itself.

    Args:
        bounds: float64 (M + 1,), seconds; see `Windows.bounds`.
        class_ids: int64 (M,), the likeliest class of each window.
        probabilities: float32 (M,), of that class.
        class_names: by id.
    """
    changes = np.flatnonzero(np.diff(class_ids)) + 1
    firsts = [0, *changes.tolist()]
    lasts = [*changes.tolist(), len(class_ids)]
    return [
        Segment(
            start=float(bounds[first]),
            end=float(bounds[last]),
            label=class_names[int(class_ids[first])],
            probability=float(probabilities[first:last].mean()),
        )
        for first, last in zip(firsts, lasts, strict=True)
    ]
