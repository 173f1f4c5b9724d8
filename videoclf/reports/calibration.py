"""Whether a network is as often right as it is sure: the reliability diagram.

Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", figure 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from videoclf.reports.analysis import usable_rows
from videoclf.reports.charts import Column, reliability_diagram
from videoclf.reports.predictions import Predictions
from videoclf.reports.wording import plural

#: As many as of the calibration error among the metrics.
NUM_BINS = 15


@dataclass(frozen=True)
class Bin:
    """Videos whose highest probability lies in (low, high]: how many, how sure, how often right.

    `confidence` and `accuracy` are None where there is no video.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """The bins, over all of which `error` is the expected calibration error."""

    bins: tuple[Bin, ...]
    error: float
    confidence: float
    accuracy: float
    total: int


def calibration(predictions: Predictions, num_bins: int = NUM_BINS) -> Calibration | None:
    """Sort the evaluated videos of single labels into bins of equal width by confidence.

    None for multi-label predictions, a single class, or where nothing was evaluated.
    """
    rows = usable_rows(predictions)
    if predictions.multi_label or len(predictions.class_names) < 2 or not len(rows):
        return None
    probabilities = predictions.probabilities[rows]
    labels = np.array([predictions.labels[row][0] for row in rows])
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, num_bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, num_bins - 1)
    bins = []
    for number in range(num_bins):
        inside = place == number
        some = bool(inside.any())
        bins.append(
            Bin(
                low=float(edges[number]),
                high=float(edges[number + 1]),
                count=int(inside.sum()),
                confidence=float(confidence[inside].mean()) if some else None,
                accuracy=float(right[inside].mean()) if some else None,
            )
        )
    distances = [
        each.count * abs(each.accuracy - each.confidence)
        for each in bins
        if each.accuracy is not None and each.confidence is not None
    ]
    return Calibration(
        bins=tuple(bins),
        error=sum(distances) / len(rows),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        total=len(rows),
    )


def draw(found: Calibration) -> Markup:
    """Draw accuracy by confidence; a column is the stronger, the more videos it stands for."""
    most = max(each.count for each in found.bins)
    columns = [
        Column(
            low=each.low,
            high=each.high,
            value=each.accuracy,
            strength=each.count / most,
            words=f"{each.low:.2f} to {each.high:.2f}: {plural(each.count, 'video')}, "
            f"accuracy {each.accuracy:.2f}",
        )
        for each in found.bins
        if each.accuracy is not None
    ]
    return reliability_diagram("Accuracy", columns, "confidence")
