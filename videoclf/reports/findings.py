"""What the predictions tell, arranged for the page: confusions, classes, mistakes.

`analysis` computes; this module decides what is shown of it, for three classes or four hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from videoclf.reports.analysis import (
    ClassScore,
    ConfusedPair,
    Mistake,
    class_scores,
    confident_mistakes,
    confused_pairs,
    confusion_matrix,
    hardest_videos,
)
from videoclf.reports.charts import Series, line_chart, matrix_png
from videoclf.reports.class_order import similarity_order
from videoclf.reports.filmstrip import Filmstrip
from videoclf.reports.predictions import Predictions
from videoclf.reports.results import Results
from videoclf.reports.wording import plural

#: Up to here a matrix is a table with a name and a number a cell; beyond, a picture.
MAX_TABLE_CLASSES = 40
#: Up to here all classes are listed at once; beyond, both ends, and all to unfold.
MAX_LISTED_CLASSES = 40
#: The matrix picture's colours: a blue and an orange with contrast on white and on near black.
HIT_COLOUR = (70, 122, 236)
MISS_COLOUR = (226, 100, 40)


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion table; `strength` is its share of the row."""

    count: int
    correct: bool
    strength: float
    title: str


@dataclass(frozen=True)
class Confusion:
    """A table of cells, or a picture of them, and the pairs most often confused."""

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    picture: str
    pairs: tuple[ConfusedPair, ...]
    total: int


def arrange_confusion(predictions: Predictions | None) -> Confusion | None:
    """Arrange the confusion matrix; None without predictions, or for multi-label ones.

    Classes that are taken for one another stand together.
    """
    if predictions is None or predictions.multi_label:
        return None
    order = similarity_order(predictions)
    names = tuple(predictions.class_names[int(k)] for k in order)
    matrix = confusion_matrix(predictions)[np.ix_(order, order)]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    as_table = len(names) <= MAX_TABLE_CLASSES
    return Confusion(
        names=names,
        rows=tuple(_cells(names, matrix, shares)) if as_table else (),
        picture="" if as_table else matrix_png(shares, HIT_COLOUR, MISS_COLOUR),
        pairs=tuple(confused_pairs(matrix, names, 8 if as_table else 12)),
        total=int(matrix.sum()),
    )


def _cells(names: Sequence[str], matrix: np.ndarray, shares: np.ndarray) -> list[tuple[Cell, ...]]:
    return [
        tuple(
            Cell(
                count=int(matrix[i, j]),
                correct=i == j,
                strength=round(float(shares[i, j]), 3),
                title=f"{true} taken for {predicted}" if i != j else f"{true} recognised",
            )
            for j, predicted in enumerate(names)
        )
        for i, true in enumerate(names)
    ]


@dataclass(frozen=True)
class Classes:
    """Scores of all classes, and those to show at once: the best and the worst, if many."""

    scores: tuple[ClassScore, ...]
    best: tuple[ClassScore, ...]
    worst: tuple[ClassScore, ...]
    multi_label: bool


def arrange_classes(predictions: Predictions | None) -> Classes | None:
    """Arrange the scores of the classes; None without predictions."""
    if predictions is None or not len(predictions):
        return None
    scores = tuple(class_scores(predictions))
    scored = tuple(score for score in scores if score.score is not None)
    many = len(scores) > MAX_LISTED_CLASSES
    return Classes(
        scores=scores,
        best=scored[:10] if many else (),
        worst=scored[-10:] if many else (),
        multi_label=predictions.multi_label,
    )


@dataclass(frozen=True)
class Mistakes:
    """The most confident mistakes with their pictures, of how many, among how many videos.

    `hardest` are further videos, whose own class got the least probability.
    """

    shown: tuple[tuple[Mistake, Filmstrip], ...]
    total: int
    evaluated: int
    hardest: tuple[tuple[Mistake, Filmstrip], ...] = ()


def arrange_mistakes(
    predictions: Predictions | None, limit: int, strip: Callable[[Mistake], Filmstrip]
) -> Mistakes | None:
    """Arrange the most confident mistakes and the hardest videos; None without predictions.

    Of the hardest there are half as many, of those that are no shown mistake.
    """
    if predictions is None:
        return None
    mistakes, total = confident_mistakes(predictions, limit)
    shown = {(each.path, each.start, each.end) for each in mistakes}
    hardest = [
        each
        for each in hardest_videos(predictions, limit + limit // 2)
        if (each.path, each.start, each.end) not in shown
    ][: limit // 2]
    return Mistakes(
        shown=tuple((mistake, strip(mistake)) for mistake in mistakes),
        total=total,
        evaluated=int(np.sum(predictions.available)),
        hardest=tuple((each, strip(each)) for each in hardest),
    )


def views_chart(results: Results) -> Markup | None:
    """Draw what more clips buy; None where one clip is all there is."""
    curve = results.views_curve
    if len(curve) < 2:
        return None
    colours = {"top1": "val", "top5": "extra-1"}
    series = [
        Series(
            label=f"top-{name[3:]}",
            points=[(float(point["num_clips"]), float(point[name])) for point in curve],
            colour=colour,
            note=f"{curve[0][name]:.3f} to {curve[-1][name]:.3f}",
        )
        for name, colour in colours.items()
        if name in curve[0]
    ]
    crops = int(curve[0]["num_views"])
    label = "clips" if crops == 1 else f"clips of {plural(crops, 'crop')}"
    return line_chart("Accuracy over the listed videos", series, label, unit_range=True)
