"""A metric of the results as a function of the videos, so that test lists can be redrawn."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from videoclf.reports.analysis import average_precision
from videoclf.reports.predictions import Predictions
from videoclf.reports.wording import parse_metric

#: Of row numbers, int64 (M,), repeats included; NaN where they hold nothing to measure.
Statistic = Callable[[np.ndarray], float]


def statistic_of(predictions: Predictions, metric: str) -> Statistic | None:
    """Return the metric as a function of the rows that count; None for one that is not known.

    Known are top-k, mean class accuracy and mAP of whole videos. Missing videos are wrong, and
    are left out of mAP, as in `videoclf.evaluation.metrics`.
    """
    parts = parse_metric(metric)
    if parts.level != "video" or parts.over == "available" or not len(predictions):
        return None
    if parts.quantity == "map":
        return _mean_average_precision(predictions)
    if predictions.multi_label:
        return None
    if top := re.fullmatch(r"top(\d+)", parts.quantity):
        hits = top_hits(predictions, int(top[1])).astype(float)
        return lambda rows: float(hits[rows].mean())
    if parts.quantity == "mean_class":
        return _mean_class(predictions)
    return None


def top_hits(predictions: Predictions, k: int) -> np.ndarray:
    """Return for each listed video whether its class is among the k most probable, bool (N,).

    A missing video is wrong.
    """
    hits = np.zeros(len(predictions), dtype=bool)
    rows = np.flatnonzero(np.asarray(predictions.available, dtype=bool))
    labels = _labels(predictions)
    # by torch's rule the first of equal probabilities comes first, as with a stable sort
    order = np.argsort(-predictions.probabilities[rows], axis=1, kind="stable")[:, :k]
    hits[rows] = (order == labels[rows, None]).any(axis=1)
    return hits


def _labels(predictions: Predictions) -> np.ndarray:
    return np.array([labels[0] if len(labels) else -1 for labels in predictions.labels])


def _mean_class(predictions: Predictions) -> Statistic:
    hits, labels = top_hits(predictions, 1), _labels(predictions)
    num_classes = len(predictions.class_names)

    def mean_class(rows: np.ndarray) -> float:
        drawn = labels[rows]
        support = np.bincount(drawn[drawn >= 0], minlength=num_classes)
        right = np.bincount(drawn[hits[rows]], minlength=num_classes)
        present = support > 0
        return float((right[present] / support[present]).mean()) if present.any() else np.nan

    return mean_class


def _mean_average_precision(predictions: Predictions) -> Statistic:
    available = np.asarray(predictions.available, dtype=bool)
    positives = np.zeros((len(predictions), len(predictions.class_names)), dtype=bool)
    for row, labels in enumerate(predictions.labels):
        positives[row, list(labels)] = True

    def mean_average_precision(rows: np.ndarray) -> float:
        seen = rows[available[rows]]
        found = [
            average_precision(predictions.probabilities[seen, k], positives[seen, k])
            for k in range(len(predictions.class_names))
        ]
        known = [value for value in found if value is not None]
        return float(np.mean(known)) if known else np.nan

    return mean_average_precision
