"""An order of the classes in which those that a network takes for one another stand together."""

from __future__ import annotations

import numpy as np

from videoclf.reports.analysis import usable_rows
from videoclf.reports.predictions import Predictions


def similarity_order(predictions: Predictions) -> np.ndarray:
    """Return class ids, int64 (K,), similar classes next to each other.

    Two classes are as similar as the videos of one are given probability of the other, on average
    in both directions: finer than counts of confusions, and there where nothing was confused. Rows
    of classes are joined from the most similar pair on (average linkage), each time at the ends
    that are most similar; what is similar to nothing comes last, by id.
    """
    similarity = _similarity(predictions)
    between = similarity.copy()  # of the rows that are left, average over their pairs
    np.fill_diagonal(between, -np.inf)
    rows: dict[int, list[int]] = {k: [k] for k in range(len(similarity))}
    while len(rows) > 1:
        first, second = np.unravel_index(int(between.argmax()), between.shape)
        if between[first, second] <= 0:
            break
        one, two = rows[int(first)], rows.pop(int(second))
        weights = np.array([len(one), len(two)]) / (len(one) + len(two))
        merged = weights @ between[[first, second]]
        merged[first] = -np.inf
        between[first], between[:, first] = merged, merged
        between[second], between[:, second] = -np.inf, -np.inf
        rows[int(first)] = _joined(one, two, similarity)
    longest_first = sorted(rows.values(), key=lambda row: (-len(row), min(row)))
    return np.array([k for row in longest_first for k in row], dtype=np.int64)


def _similarity(predictions: Predictions) -> np.ndarray:
    """Return mean probabilities of one class in videos of another, both ways, float (K, K)."""
    num_classes = len(predictions.class_names)
    rows = usable_rows(predictions)
    labels = np.array([predictions.labels[int(row)][0] for row in rows], dtype=np.int64)
    given = np.zeros((num_classes, num_classes))
    np.add.at(given, labels, predictions.probabilities[rows].astype(np.float64))
    given /= np.maximum(np.bincount(labels, minlength=num_classes), 1)[:, None]
    return given + given.T


def _joined(one: list[int], two: list[int], similarity: np.ndarray) -> list[int]:
    """Join two rows of classes at their most similar ends."""
    ways = [(a, b) for a in (one, one[::-1]) for b in (two, two[::-1])]
    first, second = max(ways, key=lambda way: similarity[way[0][-1], way[1][0]])
    return first + second
