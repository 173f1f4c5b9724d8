"""How far the numbers of a test list can be trusted, and what more views buy: from predictions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from videoclf.comparing.scores import statistic_of
from videoclf.evaluation.intervals import bootstrap_interval
from videoclf.reports.predictions import Predictions
from videoclf.reports.wording import parse_metric


def metric_intervals(
    predictions: Predictions, names: Iterable[str]
) -> dict[str, tuple[float, float]]:
    """Return the 95 % bootstrap interval of each accuracy, over draws of whole groups of videos.

    Accuracies over the available videos redraw those alone. A calibration error gets none: of a
    redrawn list, which holds repeats, it is systematically larger than of the list itself.

    Args:
        predictions: of the subset measured.
        names: of its metrics.
    """
    seen = predictions.taken(np.flatnonzero(predictions.available))
    intervals = {}
    for name in names:
        over_seen = parse_metric(name).over == "available"
        videos = seen if over_seen else predictions
        statistic = statistic_of(videos, name.removesuffix("_available"))
        if statistic is None:
            continue
        interval = bootstrap_interval(statistic, videos.group_keys)
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
