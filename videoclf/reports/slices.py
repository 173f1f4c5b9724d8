"""Accuracy of parts of the test list: short and long videos, still and moving ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from videoclf.reports.predictions import Predictions

#: Parts of about equal size; fewer where there are fewer than `MIN_VIDEOS` a part.
MAX_PARTS = 5
MIN_VIDEOS = 8


@dataclass(frozen=True)
class Part:
    """Videos of a range of values: the range in words, the share that was recognised, how many."""

    name: str
    score: float
    support: int


@dataclass(frozen=True)
class Slices:
    """The parts by one quantity, ascending."""

    title: str
    parts: tuple[Part, ...]


def slices(predictions: Predictions) -> tuple[Slices, ...]:
    """Cut the evaluated videos by length and by motion, where they are known and differ.

    A video counts as recognised where its most probable class is one of its labels. Missing
    videos are left out: nobody knows how long they are.
    """
    made = (
        _slices("By length", predictions, predictions.seconds, lambda value: f"{value:.1f} s"),
        _slices("By motion", predictions, predictions.motion, lambda value: f"{100 * value:.2f} %"),
    )
    return tuple(each for each in made if each is not None)


def _slices(
    title: str,
    predictions: Predictions,
    values: np.ndarray | None,
    in_words: Callable[[float], str],
) -> Slices | None:
    if values is None:
        return None
    rows = np.flatnonzero(np.asarray(predictions.available, dtype=bool) & np.isfinite(values))
    num_parts = min(MAX_PARTS, len(rows) // MIN_VIDEOS)
    if num_parts < 2:
        return None
    # equal values, as of clips all cut to one length, stay in one part
    edges = np.unique(np.quantile(values[rows], np.linspace(0, 1, num_parts + 1)))
    if len(edges) < 3:
        return None
    place = np.clip(np.searchsorted(edges, values[rows], side="right") - 1, 0, len(edges) - 2)
    predicted = predictions.probabilities[rows].argmax(axis=1)
    right = np.array(
        [int(top) in predictions.labels[int(row)] for row, top in zip(rows, predicted, strict=True)]
    )
    parts = [
        Part(
            name=f"{in_words(edges[number])} to {in_words(edges[number + 1])}",
            score=float(right[place == number].mean()),
            support=int((place == number).sum()),
        )
        for number in range(len(edges) - 1)
        if (place == number).any()
    ]
    return Slices(title, tuple(parts)) if len(parts) > 1 else None
