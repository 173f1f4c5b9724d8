"""Video-level metrics from joined scores; numbers in [0, 1], counts exact.

A missing video counts as wrong in every `listed` accuracy; where videos are missing, the accuracy
over the available ones stands beside it, by its own name.
"""

from __future__ import annotations

import torch
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)

from videoclf.evaluation.scores import Scores

#: Of the calibration error and the reliability diagram.
NUM_BINS = 15


def video_metrics(scores: Scores, *, num_classes: int, protocol: str) -> dict[str, float]:
    """Return top-1, top-5 (above five classes) and mean-class accuracy of single-label videos.

    Args:
        scores: all listed videos.
        num_classes: K.
        protocol: the views, such as `10x3`; it ends each name.

    Returns:
        `video_top1_10x3` and so on, over the listed videos. Where some are missing the same value
        stands again as `video_top1_10x3_listed`, beside `video_top1_10x3_available`.
    """
    listed = _accuracies(scores, num_classes, listed=True)
    named = {f"{name}_{protocol}": value for name, value in listed.items()}
    if scores.num_missing:
        available = _accuracies(scores, num_classes, listed=False)
        named |= {f"{name}_{protocol}_listed": value for name, value in listed.items()}
        named |= {f"{name}_{protocol}_available": value for name, value in available.items()}
    return named


def calibration_metrics(scores: Scores, *, num_classes: int, protocol: str) -> dict[str, float]:
    """Return `video_ece_10x3`: the expected calibration error of the available videos.

    The mean distance of confidence from accuracy over 15 bins of equal width, by their videos. A
    missing video has no confidence, so that there is no such number over the listed ones.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    seen = scores.available
    name = f"video_ece_{protocol}"
    if num_classes == 1 or not bool(seen.any()):
        return {} if num_classes == 1 else {name: float("nan")}
    # beyond [0, 1], by rounding alone, torchmetrics would take them for logits
    probabilities = scores.probabilities[seen].clamp(0, 1)
    error = multiclass_calibration_error(
        probabilities, scores.labels[seen], num_classes=num_classes, n_bins=NUM_BINS, norm="l1"
    )
    return {name: float(error)}


def confusion(scores: Scores, *, num_classes: int) -> torch.Tensor:
    """Count available videos by (true class, predicted class): int64 (K, K)."""
    seen = scores.available
    if not bool(seen.any()):
        return torch.zeros(num_classes, num_classes, dtype=torch.int64)
    predicted = scores.probabilities[seen].argmax(1)
    if num_classes == 1:  # torchmetrics takes two classes or more
        return torch.tensor([[len(predicted)]])
    return multiclass_confusion_matrix(predicted, scores.labels[seen], num_classes=num_classes)


def _accuracies(scores: Scores, num_classes: int, *, listed: bool) -> dict[str, float]:
    seen = scores.available
    count = len(scores.labels) if listed else int(seen.sum())
    names = ["video_top1", "video_top5", "video_mean_class"]
    if num_classes <= 5:  # top-5 of five classes says nothing
        names.remove("video_top5")
    if count == 0:
        return dict.fromkeys(names, float("nan"))
    probabilities, labels = scores.probabilities[seen], scores.labels[seen]
    values = {"video_top1": _top(probabilities, labels, 1) * len(labels) / count}
    if "video_top5" in names:
        values["video_top5"] = _top(probabilities, labels, 5) * len(labels) / count
    support = torch.bincount(scores.labels if listed else labels, minlength=num_classes)
    hits = confusion(scores, num_classes=num_classes).diagonal()
    present = support > 0
    values["video_mean_class"] = float((hits[present] / support[present]).double().mean())
    return values


def _top(probabilities: torch.Tensor, labels: torch.Tensor, k: int) -> float:
    if not len(labels):
        return 0.0
    num_classes = probabilities.shape[1]
    if num_classes == 1:
        return 1.0
    share = multiclass_accuracy(
        probabilities, labels, num_classes=num_classes, average="micro", top_k=k
    )
    return round(float(share) * len(labels)) / len(labels)  # float32 share -> exact count
