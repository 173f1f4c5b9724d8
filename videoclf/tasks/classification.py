"""Video classification: cross-entropy in training, video-level scores in evaluation.

Training logs `train/loss` and clip-level metrics. Validation and test collect one averaged row of
probabilities a video; rows of all ranks are joined before any metric is computed.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from videoclf.errors import ConfigError, NonFiniteLossError
from videoclf.evaluation.collected import Collected
from videoclf.evaluation.evaluator import Evaluation
from videoclf.evaluation.inference import Inference, Plan
from videoclf.evaluation.metrics import calibration_metrics, video_metrics
from videoclf.evaluation.scores import Scores, gather, join, true_class_ranks
from videoclf.evaluation.view_scorer import Scored, ViewScorer
from videoclf.optimizers import OptimizerFactory
from videoclf.tasks.losses import check_loss, softmax_focal
from videoclf.tasks.video_task import VideoTask, check_complete
from videoclf.types import Batch

if TYPE_CHECKING:
    from videoclf.data.datamodule import VideoDataModule
    from videoclf.evaluation.parts import Parts
    from videoclf.evaluation.views import Views


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
        loss: `cross_entropy`, or `focal`, which counts what is known already less.
        focal_gamma: how much less.
    """

    LOSSES: ClassVar[tuple[str, ...]] = ("cross_entropy", "focal")
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
        loss: str = "cross_entropy",
        focal_gamma: float = 2.0,
    ) -> None:
        super().__init__(model=model, optimizer=optimizer, max_unreadable=max_unreadable)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"task.label_smoothing={label_smoothing} must be in [0, 1)")
        check_loss(loss, self.LOSSES, focal_gamma)
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.gamma = focal_gamma if loss == "focal" else 0.0
        self.train_metrics = self.clip_metrics().clone(prefix="train/")
        self.collected = Collected(num_classes)
        self._scorer: ViewScorer | None = None
        self._plan = Plan()  # of the test; a validation is plain

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
        loss = self.loss_of(flat.float(), repeated)
        scores = self.probabilities(logits.detach().float())
        if logits.ndim == 3:
            scores = scores.mean(1)  # (N, K)
        self.train_metrics.update(scores, self.true_labels(targets))
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
        """Float targets (B * V, K): those of the videos, or mixed as the clips were."""
        targets = self.video_targets(batch).repeat_interleave(batch.num_views, 0)
        if batch.mix is None:
            return targets
        return targets[batch.mix.partner].lerp(targets, batch.mix.own_share[:, None])

    # what depends on how many classes a video has ---------------------------------------------

    def clip_metrics(self) -> MetricCollection:
        """Return what is measured of the training clips."""
        return clip_metrics(self.num_classes)

    def video_targets(self, batch: Batch) -> torch.Tensor:
        """Return float targets (B, K), rows summing to 1."""
        return F.one_hot(batch.labels[:, 0], self.num_classes).float()

    def true_labels(self, targets: torch.Tensor) -> torch.Tensor:
        """Return what clips of targets (N, K), mixed ones too, are counted as: int64 (N,)."""
        return targets.argmax(1)

    def loss_of(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of logits (N, K)."""
        smoothing = self.label_smoothing
        return softmax_focal(logits, targets, gamma=self.gamma, label_smoothing=smoothing)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return probabilities of logits (..., K)."""
        return logits.softmax(-1)

    def listed(self, datamodule: VideoDataModule, subset: str) -> tuple[np.ndarray, np.ndarray]:
        """Return rows, int64 (N,), and labels, int64 (N,), of a subset."""
        return datamodule.listed(subset)

    def video_loss(self, scores: Scores) -> float:
        """Return the loss of the available videos' probabilities."""
        seen = scores.available
        log_probabilities = scores.probabilities[seen].clamp_min(1e-12).log()
        return float(F.nll_loss(log_probabilities, scores.labels[seen]))

    def video_metrics(self, scores: Scores, protocol: str) -> dict[str, float]:
        """Return accuracies by name, which the views' name ends."""
        return video_metrics(scores, num_classes=self.num_classes, protocol=protocol)

    def calibration(self, scores: Scores, protocol: str) -> dict[str, float]:
        """Return what a test measures beside them."""
        return calibration_metrics(scores, num_classes=self.num_classes, protocol=protocol)

    def ranks(self, prefixes: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return `ranks` of `Scores.columns`.

        Args:
            prefixes: (B, clips, K), predictions of the first 1, 2, ... clips.
            labels: int64 (B, L).
        """
        return {"ranks": true_class_ranks(prefixes, labels[:, :1].expand(prefixes.shape[:2]))}

    # evaluation -----------------------------------------------------------------------------

    def measured(self) -> list[str] | None:
        """Return what a validation logs: what is measured of a guess at the first video.

        A class made from this one outside of videoclf may log more; None then.
        """
        if not type(self).__module__.startswith("videoclf."):
            return None
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        rows, labels = (
            torch.from_numpy(each[:1].copy()) for each in self.listed(datamodule, "val")
        )
        guess = Scores(
            rows=rows,
            labels=labels,
            probabilities=torch.full((len(rows), self.num_classes), 1 / self.num_classes),
            available=torch.ones(len(rows), dtype=torch.bool),
            unreadable=(),
        )
        metrics = self.video_metrics(guess, datamodule.views["val"].name)
        return [f"val/{name}" for name in ("video_loss", *metrics)]

    def on_validation_epoch_start(self) -> None:
        """Begin with no video waiting."""
        self._begin(contiguous=False)

    def on_test_epoch_start(self) -> None:
        """Begin with no video waiting."""
        self._begin(contiguous=self._plan.contiguous)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Score one batch of validation videos."""
        self._score(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Score one batch of test videos, all their views."""
        self._score(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Join the rows of all ranks and log `val/<metric>_1x1`."""
        self._finish("val")
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        shards = chain.from_iterable(gather(self.collected.take()))
        rows, labels = self.listed(datamodule, "val")
        scores = join(shards, rows=rows, labels=labels, num_classes=self.num_classes)
        check_complete(scores, self.max_unreadable)
        metrics = self.video_metrics(scores, datamodule.views["val"].name)
        for name, value in {"video_loss": self.video_loss(scores), **metrics}.items():
            self.log(f"val/{name}", value)

    def on_test_epoch_end(self) -> None:
        """Score the last videos; the ranks' scores are joined after the loop."""
        self._finish("test")

    def check_inference(self, inference: Inference) -> None:
        """Every option is for classifiers."""

    def run_as(self, plan: Plan) -> None:
        """Run the network of the coming test so."""
        self._plan = plan

    def store_in(self, parts: Parts) -> None:
        """Store finished videos of the coming test as it goes."""
        self.collected.parts = parts

    def evaluation(self, datamodule: VideoDataModule, subset: str, seconds: float) -> Evaluation:
        """Join the scores of all ranks and measure them; see `VideoTask.evaluation`."""
        rows, labels = self.listed(datamodule, subset)
        shards = chain.from_iterable(gather(self.collected.take()))
        scores = join(shards, rows=rows, labels=labels, num_classes=self.num_classes)
        check_complete(scores, self.max_unreadable)
        protocol = datamodule.views["test"].name
        metrics = self.video_metrics(scores, protocol) | self.calibration(scores, protocol)
        named = {f"{subset}/{name}": value for name, value in metrics.items()}
        return Evaluation(subset, scores, named, seconds)

    def _begin(self, *, contiguous: bool) -> None:
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        self._scorer = ViewScorer(
            self.model, views_at_once=datamodule.batch_size, contiguous=contiguous
        )

    def _score(self, batch: Batch, part: str) -> None:
        self.unreadable.update({record.index: record for record in batch.unreadable})
        self.collected.miss(batch.unreadable)
        if not len(batch):
            return
        if self._scorer is None:
            self._begin(contiguous=False)
        assert self._scorer is not None
        if part == "test" and self._plan.comparison is not None:
            self._plan.comparison.note(batch)
        try:
            scored = self._scorer.add(batch)
        except ValueError as error:  # the model's own check of its clips: other views suit it
            raise ConfigError(str(error)) from error
        self._note(scored, part)

    def _finish(self, part: str) -> None:
        if self._scorer is None:
            return
        with self.trainer.precision_plugin.forward_context():  # as around each step
            rest = self._scorer.rest()
        self._note(rest, part)

    def _note(self, scored: Scored, part: str) -> None:
        """Keep the predictions of videos whose views have logits (B, V, [S,] K)."""
        views: Views = self.trainer.datamodule.views[part]  # type: ignore[attr-defined]
        for batch, logits in scored:
            probabilities = views.video_probabilities(logits).cpu()
            if not torch.isfinite(probabilities).all():
                raise NonFiniteLossError(
                    "the model's scores are not finite in evaluation; its weights have diverged: "
                    "lower optimizer.learning_rate or set trainer.gradient_clip_val"
                )
            columns = self._columns(batch, logits, views) if part == "test" else {}
            self.collected.add(batch.indices, probabilities, columns)

    def _columns(self, batch: Batch, logits: torch.Tensor, views: Views) -> dict[str, torch.Tensor]:
        """Return what else the report tells of each video; see `Scores.columns`."""
        found = self.ranks(views.prefix_probabilities(logits), batch.labels)
        if batch.seconds is not None and batch.motion is not None:
            found |= {"seconds": batch.seconds, "motion": batch.motion}
        if views.keep:
            found["views"] = views.view_probabilities(logits)
        if self._plan.comparison is not None:
            found["plain"] = self._plan.comparison.column(batch.indices, self.num_classes)
        return {name: values.cpu() for name, values in found.items()}
