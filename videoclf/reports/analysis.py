"""What predictions tell beyond one number: which classes, which confusions, which videos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoclf.reports.predictions import Predictions


@dataclass(frozen=True)
class ClassScore:
    """One class: its recall (average precision if multi-label) and its number of videos.

    `score` is None where the class has no video.
    """

    name: str
    score: float | None
    support: int


@dataclass(frozen=True)
class ConfusedPair:
    """How often videos of one class were taken for another, and which share of the class."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True)
class Guess:
    """One bar of a mistake: a class, its probability, and whether it is right."""

    name: str
    probability: float
    is_true: bool


@dataclass(frozen=True)
class Mistake:
    """A video and what was said of it: mostly one whose most probable class is none of its labels.

    `guesses` are the most probable classes and the true ones, most probable first.
    """

    path: str
    start: float | None
    end: float | None
    true: tuple[str, ...]
    predicted: str
    confidence: float
    guesses: tuple[Guess, ...]


def usable_rows(predictions: Predictions) -> np.ndarray:
    """Return the row numbers of videos that were evaluated and have a label, int64, ascending."""
    labelled = np.array([len(labels) > 0 for labels in predictions.labels], dtype=bool)
    return np.flatnonzero(labelled & np.asarray(predictions.available, dtype=bool))


def confusion_matrix(predictions: Predictions) -> np.ndarray:
    """Count evaluated videos by true class (rows) and most probable class, int64 (K, K)."""
    num_classes = len(predictions.class_names)
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    rows = usable_rows(predictions)
    if len(rows):
        true = np.array([predictions.labels[row][0] for row in rows])
        np.add.at(matrix, (true, predictions.probabilities[rows].argmax(axis=1)), 1)
    return matrix


def confused_pairs(
    matrix: np.ndarray, class_names: tuple[str, ...], limit: int
) -> list[ConfusedPair]:
    """Return the off-diagonal cells with the highest counts, then the highest shares."""
    totals = matrix.sum(axis=1)
    true, predicted = np.nonzero(matrix * ~np.eye(len(matrix), dtype=bool))
    pairs = [
        ConfusedPair(
            true=class_names[i],
            predicted=class_names[j],
            count=int(matrix[i, j]),
            share=float(matrix[i, j] / totals[i]),
        )
        for i, j in zip(true, predicted, strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share))[:limit]


def class_scores(predictions: Predictions) -> list[ClassScore]:
    """Return each class's recall over its listed videos, or its average precision, best first.

    A missing video counts as wrong in a recall, as it does in the headline. Average precision
    ranks evaluated videos only. Classes without a video come last.
    """
    scores = _average_precisions(predictions) if predictions.multi_label else _recalls(predictions)
    return sorted(scores, key=lambda s: (s.score is None, -(s.score or 0.0), -s.support, s.name))


def _recalls(predictions: Predictions) -> list[ClassScore]:
    num_classes = len(predictions.class_names)
    labels = [labels[0] for labels in predictions.labels if labels]
    support = np.bincount(np.array(labels, dtype=np.int64), minlength=num_classes)
    correct = confusion_matrix(predictions).diagonal()
    return [
        ClassScore(name, float(correct[k] / support[k]) if support[k] else None, int(support[k]))
        for k, name in enumerate(predictions.class_names)
    ]


def _average_precisions(predictions: Predictions) -> list[ClassScore]:
    rows = np.flatnonzero(predictions.available)
    positives = np.zeros((len(rows), len(predictions.class_names)), dtype=bool)
    for position, row in enumerate(rows):
        positives[position, list(predictions.labels[int(row)])] = True
    probabilities = predictions.probabilities[rows]
    return [
        ClassScore(
            name,
            average_precision(probabilities[:, k], positives[:, k]),
            int(positives[:, k].sum()),
        )
        for k, name in enumerate(predictions.class_names)
    ]


def average_precision(scores: np.ndarray, positives: np.ndarray) -> float | None:
    """Return the sum over thresholds of precision times the step in recall.

    Equal scores pass a threshold together. None where nothing is positive. No interpolation: the
    definition of scikit-learn and torchmetrics.

    Args:
        scores: float (N,), higher is more probable.
        positives: bool (N,).
    """
    total = int(positives.sum())
    if not total:
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positives[order])
    last_of_ties = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found = hits[last_of_ties]
    precision = found / (last_of_ties + 1)
    return float(np.sum(precision * np.diff(found, prepend=0)) / total)


def confident_mistakes(
    predictions: Predictions, limit: int, num_guesses: int = 3
) -> tuple[list[Mistake], int]:
    """Return the mistakes with the highest probability for a wrong class, and how many there are.

    In multi-label data a mistake is a video whose most probable class is none of its labels.
    """
    rows = usable_rows(predictions)
    if not len(rows):
        return [], 0
    predicted = predictions.probabilities[rows].argmax(axis=1)
    wrong = [
        (float(predictions.probabilities[row, top]), int(row))
        for row, top in zip(rows, predicted, strict=True)
        if int(top) not in predictions.labels[row]
    ]
    wrong.sort(key=lambda pair: (-pair[0], pair[1]))
    return [_mistake(predictions, row, num_guesses) for _, row in wrong[:limit]], len(wrong)


def hardest_videos(predictions: Predictions, limit: int, num_guesses: int = 3) -> list[Mistake]:
    """Return the videos whose own class got the least probability, right or wrong.

    Of several labels the mean of their probabilities counts.
    """
    rows = [int(row) for row in usable_rows(predictions)]
    own = [
        float(predictions.probabilities[row, list(predictions.labels[row])].mean()) for row in rows
    ]
    ranked = sorted(zip(own, rows, strict=True))[:limit]
    return [_mistake(predictions, row, num_guesses) for _, row in ranked]


def _mistake(predictions: Predictions, row: int, num_guesses: int) -> Mistake:
    probabilities = predictions.probabilities[row]
    names, labels = predictions.class_names, predictions.labels[row]
    order = [int(k) for k in np.argsort(-probabilities, kind="stable")]
    # A video of many labels would fill the page: its three most probable ones stand for them.
    true_shown = [k for k in order if k in labels][:3]
    shown = [k for k in order if k in order[:num_guesses] or k in true_shown]
    return Mistake(
        path=predictions.paths[row],
        start=predictions.starts[row],
        end=predictions.ends[row],
        true=tuple(names[k] for k in labels),
        predicted=names[order[0]],
        confidence=float(probabilities[order[0]]),
        guesses=tuple(Guess(names[k], float(probabilities[k]), k in labels) for k in shown),
    )
