"""Mean average precision of videos of several classes, and their loss, from joined scores.

Each class ranks the videos by its own probability; its average precision is the precision at each
video found, averaged over those to be found, without interpolation (the definition of scikit-learn
and torchmetrics, and of Charades' own scoring). A missing video is never found: over the listed
videos a class has its average precision over the available ones times the share of its videos that
are available. Classes without a video are left out of the mean.
"""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics.functional.classification import binary_average_precision

from videoclf.evaluation.scores import Scores


def multi_hot(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Return bool (B, K) of labels int64 (B, L), padded with -1."""
    hot = torch.zeros(len(labels), num_classes + 1, dtype=torch.bool, device=labels.device)
    # the padding falls into a last column of its own
    return hot.scatter_(1, labels.where(labels >= 0, num_classes), True)[:, :num_classes]


def multi_hot_lists(lengths: np.ndarray, flat: np.ndarray, num_classes: int) -> np.ndarray:
    """Return bool (N, K) of lists of labels: int (N,) lengths, and all labels one after another."""
    hot = np.zeros((len(lengths), num_classes), dtype=bool)
    hot[np.repeat(np.arange(len(lengths)), lengths), flat] = True
    return hot


def multi_label_metrics(scores: Scores, *, protocol: str) -> dict[str, float]:
    """Return the mAP of videos, whose labels are bool (N, K).

    Args:
        scores: all listed videos.
        protocol: the views, such as `10x3`; it ends each name.

    Returns:
        `video_map_10x3` over the listed videos. Where some are missing the same value stands again
        as `video_map_10x3_listed`, beside `video_map_10x3_available`.
    """
    seen = scores.available
    support = scores.labels.sum(0)  # (K,)
    found = scores.labels[seen].sum(0)
    precisions = torch.zeros(len(support), dtype=torch.float64)
    # beyond [0, 1], by rounding alone, torchmetrics would take them for logits
    probabilities, labels = scores.probabilities[seen].clamp(0, 1), scores.labels[seen].long()
    for k in found.nonzero().flatten().tolist():  # without a positive, torchmetrics warns
        precisions[k] = binary_average_precision(probabilities[:, k], labels[:, k])
    listed = _mean((precisions * found / support.clamp_min(1))[support > 0])
    named = {f"video_map_{protocol}": listed}
    if scores.num_missing:
        named[f"video_map_{protocol}_listed"] = listed
        named[f"video_map_{protocol}_available"] = _mean(precisions[found > 0])
    return named


def multi_label_loss(scores: Scores) -> float:
    """Return the mean binary cross-entropy of the available videos' probabilities."""
    seen = scores.available
    probabilities = scores.probabilities[seen].double().clamp(1e-12, 1 - 1e-12)
    return float(
        torch.nn.functional.binary_cross_entropy(probabilities, scores.labels[seen].double())
    )


def _mean(values: torch.Tensor) -> float:
    return float(values.mean()) if len(values) else float("nan")
