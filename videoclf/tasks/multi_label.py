"""Videos of several classes at once: a sigmoid and a binary cross-entropy for each class.

Targets are multi-hot, and mixed as the clips were. Views are joined after the sigmoid, by their
mean or, as usual for Charades, by each class's highest probability (`views.average=max`); a test
and each validation measure mean average precision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow.compute as pc
import torch
from torch import nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MultilabelAveragePrecision

from videoclf.evaluation.average_precision import (
    multi_hot,
    multi_hot_lists,
    multi_label_loss,
    multi_label_metrics,
)
from videoclf.evaluation.scores import Scores
from videoclf.optimizers import OptimizerFactory
from videoclf.tasks.classification import VideoClassification
from videoclf.tasks.losses import sigmoid_focal
from videoclf.types import Batch

if TYPE_CHECKING:
    from videoclf.data.datamodule import VideoDataModule
    from videoclf.evaluation.views import Views

#: A training clip's average precision is measured at so many thresholds, to be summed up by counts.
NUM_THRESHOLDS = 200


class MultiLabelClassification(VideoClassification):
    """Loss, steps, logging and optimiser around a model whose videos have several classes.

    Args:
        model: clips by modality -> logits (B, K), or (B, S, K) where it speaks S times a clip.
        optimizer: factory of optimiser and schedule.
        num_classes: K.
        label_smoothing: s; a target t is learnt as t (1 - s) + s / 2.
        max_unreadable: unreadable training videos of this rank that are left out.
        loss: `binary_cross_entropy`, or `focal`, which counts what is known already less.
        focal_gamma: how much less.
    """

    LOSSES: ClassVar[tuple[str, ...]] = ("binary_cross_entropy", "focal")

    def __init__(
        self,
        *,
        model: nn.Module,
        optimizer: OptimizerFactory,
        num_classes: int,
        max_unreadable: int,
        loss: str,
        focal_gamma: float,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            model=model,
            optimizer=optimizer,
            num_classes=num_classes,
            label_smoothing=label_smoothing,
            max_unreadable=max_unreadable,
            loss=loss,
            focal_gamma=focal_gamma,
        )

    def clip_metrics(self) -> MetricCollection:
        """Return the mAP of training clips; those that were mixed count for their larger part."""
        measured = MultilabelAveragePrecision(self.num_classes, thresholds=NUM_THRESHOLDS)
        return MetricCollection({"clip_map": measured})

    def video_targets(self, batch: Batch) -> torch.Tensor:
        """Return float targets (B, K), 1 for each class of a video."""
        return multi_hot(batch.labels, self.num_classes).float()

    def true_labels(self, targets: torch.Tensor) -> torch.Tensor:
        """Return what clips are counted as: int64 (N, K)."""
        return (targets > 0.5).long()

    def loss_of(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of logits (N, K)."""
        smooth = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        return sigmoid_focal(logits, smooth, gamma=self.gamma)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return probabilities of logits (..., K)."""
        return logits.sigmoid()

    def listed(self, datamodule: VideoDataModule, subset: str) -> tuple[np.ndarray, np.ndarray]:
        """Return rows, int64 (N,), and labels, bool (N, K), of a subset."""
        rows = datamodule.rows(subset)
        labels = datamodule.manifest.table["labels"].take(rows)
        lengths = pc.list_value_length(labels).to_numpy()
        flat = pc.list_flatten(labels).to_numpy()
        return rows, multi_hot_lists(lengths, flat, self.num_classes)

    def video_loss(self, scores: Scores) -> float:
        """Return the loss of the available videos' probabilities."""
        return multi_label_loss(scores)

    def video_metrics(self, scores: Scores, protocol: str) -> dict[str, float]:
        """Return mAP by name, which the views' name ends."""
        return multi_label_metrics(scores, protocol=protocol)

    def calibration(self, scores: Scores, protocol: str) -> dict[str, float]:  # noqa: ARG002
        """Return nothing: calibration is measured of one class a video."""
        return {}

    def ranks(self, prefixes: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: ARG002
        """Return nothing: no class is the true one."""
        return {}

    def _score(self, batch: Batch, part: str) -> None:
        views: Views = self.trainer.datamodule.views[part]  # type: ignore[attr-defined]
        if views.activation != "sigmoid":
            raise ValueError(f"views.activation={views.activation}; task=multi_label wants sigmoid")
        super()._score(batch, part)
