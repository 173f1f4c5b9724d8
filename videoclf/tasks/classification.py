"""Video classification: cross-entropy in training, video-level scores in evaluation.

Training logs `train/loss` and clip-level metrics. Validation and test collect one averaged row of
probabilities a video; rows of all ranks are joined before any metric is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn import functional as F
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from videoclf.errors import NonFiniteLossError
from videoclf.evaluation.evaluator import Evaluation
from videoclf.evaluation.metrics import video_metrics
from videoclf.evaluation.scores import ShardScores, gather, join
from videoclf.optimizers import OptimizerFactory
from videoclf.tasks.video_task import VideoTask, unreadable_error
from videoclf.types import Batch, Unreadable

if TYPE_CHECKING:
    from videoclf.data.datamodule import VideoDataModule


def clip_metrics(num_classes: int) -> MetricCollection:
    """Top-1, top-5 (above five classes) and mean-class accuracy; cloned for each use."""
    metrics: dict[str, Metric | MetricCollection] = {
        "clip_top1": MulticlassAccuracy(num_classes, average="micro"),
        "clip_mean_class": MulticlassAccuracy(num_classes, average="macro"),
    }
    if num_classes > 5:
        metrics["clip_top5"] = MulticlassAccuracy(num_classes, average="micro", top_k=5)
    return MetricCollection(metrics)


class VideoClassification(VideoTask):
    """Loss, steps, logging and optimiser around a model.

    Args:
        model: clips by modality -> logits (B, K), or (B, S, K) where it speaks S times a clip.
        optimizer: factory of optimiser and schedule.
        num_classes: K.
        label_smoothing: share of the target spread evenly over the classes.
        max_unreadable: unreadable training videos of this rank that are left out.
    """

    RUNTIME_ARGUMENTS: ClassVar[frozenset[str]] = frozenset(
        {"model", "optimizer", "num_classes", "max_unreadable"}
    )

    def __init__(
        self,
        *,
        model: nn.Module,
        optimizer: OptimizerFactory,
        num_classes: int,
        label_smoothing: float,
        max_unreadable: int,
    ) -> None:
        super().__init__(model=model, optimizer=optimizer, max_unreadable=max_unreadable)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"task.label_smoothing={label_smoothing} must be in [0, 1)")
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.train_metrics = clip_metrics(num_classes).clone(prefix="train/")
        self._rows: list[torch.Tensor] = []
        self._probabilities: list[torch.Tensor] = []
        self._unreadable: list[Unreadable] = []

    # training -------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Return the mean loss over clips, and over the S predictions of each."""
        self.note_unreadable(batch)
        if not len(batch):
            return self.no_effect()
        logits = self.model(**batch.inputs)  # (N, K) or (N, S, K), N = B * V clips
        targets = self._targets(batch)  # (N, K)
        flat, repeated = logits, targets
        if logits.ndim == 3:
            flat = logits.flatten(0, 1)  # (N * S, K)
            repeated = targets.repeat_interleave(logits.shape[1], 0)  # (N * S, K)
        loss = F.cross_entropy(flat.float(), repeated, label_smoothing=self.label_smoothing)
        scores = logits.detach().float().softmax(-1)
        if logits.ndim == 3:
            scores = scores.mean(1)  # (N, K)
        self.train_metrics.update(scores, targets.argmax(1))
        self.log("train/loss", loss, on_step=True, batch_size=len(batch))
        self.log_dict(
            self.train_metrics,
            on_step=False,
            on_epoch=True,
            batch_size=len(batch),
        )
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        self._last_batch = batch
        return loss

    def _targets(self, batch: Batch) -> torch.Tensor:
        """Float targets (B * V, K), rows summing to 1: one-hot, or mixed as the clips were."""
        labels = batch.labels[:, 0].repeat_interleave(batch.num_views)
        targets = F.one_hot(labels, self.num_classes).float()
        if batch.mix is None:
            return targets
        return targets[batch.mix.partner].lerp(targets, batch.mix.own_share[:, None])

    # evaluation -----------------------------------------------------------------------------

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Score one batch of validation videos."""
        self._score(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Score one batch of test videos, all their views."""
        self._score(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Join the rows of all ranks and log `val/<metric>_1x1`."""
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        shards = gather(self.take_scores())
        rows, labels = datamodule.listed("val")
        scores = join(shards, rows=rows, labels=labels, num_classes=self.num_classes)
        if scores.num_missing > self.max_unreadable:
            raise unreadable_error(scores.unreadable, self.max_unreadable)
        seen = scores.available
        loss = F.nll_loss(scores.probabilities[seen].clamp_min(1e-12).log(), scores.labels[seen])
        metrics = video_metrics(
            scores, num_classes=self.num_classes, protocol=datamodule.views["val"].name
        )
        for name, value in {"video_loss": float(loss), **metrics}.items():
            self.log(f"val/{name}", value)

    def evaluation(self, datamodule: VideoDataModule, subset: str, seconds: float) -> Evaluation:
        """Join the scores of all ranks and measure them; see `VideoTask.evaluation`."""
        rows, labels = datamodule.listed(subset)
        shards = gather(self.take_scores())
        scores = join(shards, rows=rows, labels=labels, num_classes=self.num_classes)
        if scores.num_missing > self.max_unreadable:
            raise unreadable_error(scores.unreadable, self.max_unreadable)
        metrics = video_metrics(
            scores, num_classes=self.num_classes, protocol=datamodule.views["test"].name
        )
        named = {f"{subset}/{name}": value for name, value in metrics.items()}
        return Evaluation(subset, scores, named, seconds)

    def take_scores(self) -> ShardScores:
        """Return and forget what this rank has scored since the last call."""
        shard = ShardScores(
            rows=torch.cat(self._rows) if self._rows else torch.zeros(0, dtype=torch.int64),
            probabilities=torch.cat(self._probabilities)
            if self._probabilities
            else torch.zeros(0, self.num_classes),
            unreadable=tuple(self._unreadable),
        )
        self._rows, self._probabilities, self._unreadable = [], [], []
        return shard

    def _score(self, batch: Batch, part: str) -> None:
        self.unreadable.update({record.index: record for record in batch.unreadable})
        self._unreadable += batch.unreadable
        if not len(batch):
            return
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        views = datamodule.views[part]
        clips, step = len(batch) * batch.num_views, datamodule.batch_size
        # the views of one video may be many: at most `batch_size` clips go through at once
        pieces = [
            self.model(**{k: v[first : first + step] for k, v in batch.inputs.items()})
            for first in range(0, clips, step)
        ]
        logits = torch.cat(pieces).unflatten(0, (len(batch), batch.num_views))  # (B, V, [S,] K)
        probabilities = views.video_probabilities(logits).cpu()
        if not torch.isfinite(probabilities).all():
            raise NonFiniteLossError(
                "the model's scores are not finite in evaluation; its weights have diverged: "
                "lower optimizer.learning_rate or set trainer.gradient_clip_val"
            )
        self._rows.append(batch.indices)
        self._probabilities.append(probabilities)
