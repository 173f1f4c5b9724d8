"""How far the numbers of a test list can be trusted, and what more views buy: from predictions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from videoclf.evaluation.intervals import bootstrap_interval
from videoclf.reports.predictions import Predictions
from videoclf.reports.statistics import statistic_of
from videoclf.reports.wording import parse_metric

#: Resampled test lists of an interval, and of one of a mean average precision.
NUM_DRAWS, MAP_DRAWS = 1000, 200


def metric_intervals(
    predictions: Predictions, names: Iterable[str]
) -> dict[str, tuple[float, float]]:
    """Return the 95 % bootstrap interval of each accuracy, over draws of whole groups of videos.

    Accuracies over the available videos redraw those alone. A mAP is redrawn less often, since it
    sorts the videos anew for each class, and over the listed videos only where none is missing. A
    calibration error gets none: of a
    redrawn list, which holds repeats, it is systematically larger than of the list itself.

    Args:
        predictions: of the subset measured.
        names: of its metrics.
    """
    seen = predictions.taken(np.flatnonzero(predictions.available))
    intervals = {}
    for name in names:
        parts = parse_metric(name)
        over_seen, is_map = parts.over == "available", parts.quantity == "map"
        if is_map and not over_seen and len(seen) < len(predictions):
            continue
        videos = seen if over_seen else predictions
        statistic = statistic_of(videos, name.removesuffix("_available"))
        if statistic is None:
            continue
        interval = bootstrap_interval(
            statistic, videos.group_keys, num_draws=MAP_DRAWS if is_map else NUM_DRAWS
        )
        if interval is not None:
            intervals[name] = interval
    return intervals


def views_curve(predictions: Predictions) -> tuple[dict[str, float], ...]:
    """Return accuracy over the listed videos by the number of clips that it is made of.

    Returns:
        A point each for 1, 2, ... clips in `clip_order`: `num_clips`, `num_views`, `top1`, and
        `top5` above five classes. Empty where the protocol has one clip, or it is not known.
    """
    ranks = predictions.ranks
    if ranks is None or ranks.shape[1] < 2 or not len(ranks):
        return ()
    num_crops = int(predictions.protocol.get("num_crops", 1))
    tops = {"top1": 1, "top5": 5} if len(predictions.class_names) > 5 else {"top1": 1}
    return tuple(
        {"num_clips": n + 1, "num_views": (n + 1) * num_crops}
        | {name: float(((ranks[:, n] >= 0) & (ranks[:, n] < k)).mean()) for name, k in tops.items()}
        for n in range(ranks.shape[1])
    )
