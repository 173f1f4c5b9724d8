"""Score every version of every test clip in one reading of the videos, and compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from videoclf.data.datamodule import VideoDataModule
from videoclf.errors import ConfigError
from videoclf.evaluation.intervals import bootstrap_interval
from videoclf.order_probe.versions import VERSIONS
from videoclf.predicting.scoring import video_probabilities
from videoclf.types import Batch, Unreadable

FORMAT = "videoclf probe 1"


@dataclass(frozen=True)
class Share:
    """A share of the videos with its 95 % interval, None where there are too few groups."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class OrderProbe:
    """What a network got right of each version of the same videos.

    Args:
        hits: bool (N,) by version; a video that is missing is wrong in all.
        labels: int64 (N,).
        groups: of each video, (N,); None is a group of its own.
        unreadable: the missing ones, with reasons.
    """

    hits: dict[str, np.ndarray]
    labels: np.ndarray
    groups: Sequence[str | None]
    unreadable: tuple[Unreadable, ...]

    @property
    def chance(self) -> float:
        """Accuracy of whoever always names the most frequent class."""
        return float(np.bincount(self.labels).max() / len(self.labels))

    def accuracy(self, version: str) -> Share:
        """Return the top-1 accuracy of a version."""
        return self._share(self.hits[version].astype(np.float64))

    def loss_of(self, version: str) -> Share:
        """Return the accuracy that a version loses against plain clips, by paired videos."""
        return self._share(self.hits["plain"].astype(np.float64) - self.hits[version])

    def motion_share(self) -> float | None:
        """Return which part of the accuracy above chance single frames do not reach, in [0, 1].

        (plain - best still version) / (plain - chance), where a still version below chance counts
        as chance. None where plain clips are not above chance, so that there is nothing to share.
        """
        plain = self.accuracy("plain").value
        if plain <= self.chance:
            return None
        still = max(self.accuracy(self.best_still).value, self.chance)
        return min(1.0, max(0.0, (plain - still) / (plain - self.chance)))

    @property
    def best_still(self) -> str:
        """The version without motion that gets the most right."""
        return max(
            ("single frames", "middle frame", "first frame"), key=lambda v: self.hits[v].mean()
        )

    def as_json(self) -> dict[str, Any]:
        """Return all numbers."""
        return {
            "format": FORMAT,
            "num_videos": len(self.labels),
            "chance": self.chance,
            "top1": {name: _pair(self.accuracy(name)) for name in self.hits},
            "lost": {name: _pair(self.loss_of(name)) for name in self.hits if name != "plain"},
            "motion_share": self.motion_share(),
            "missing": [{"path": u.path, "reason": u.reason} for u in self.unreadable],
        }

    def _share(self, values: np.ndarray) -> Share:
        def mean(rows: np.ndarray) -> float:
            return float(values[rows].mean())

        return Share(float(values.mean()), bootstrap_interval(mean, self.groups))


def measure(
    model: nn.Module,
    datamodule: VideoDataModule,
    subset: str,
    report: Callable[[int, int, int], None],
) -> OrderProbe:
    """Score all versions of the test views of a subset.

    Args:
        model: of rgb clips, on its device; put into eval mode.
        datamodule: of data with the model's class ids; its test views are read.
        subset: train, val or test.
        report: called now and then with (videos done, videos in all, unreadable ones).

    Raises:
        ConfigError: clips of one frame, or of optical flow, which is motion itself.
        DataError: the subset is empty.
    """
    if list(datamodule.modalities) != ["rgb"]:
        raise ConfigError(
            f"the network reads {', '.join(datamodule.modalities)}; flow is motion itself, so that "
            "only networks of rgb clips are asked about it"
        )
    if datamodule.sampler.num_frames < 2:
        raise ConfigError("the network sees one frame at a time, which has no order and no motion")
    model.eval()
    rows, labels = datamodule.listed(subset)
    place = {int(row): number for number, row in enumerate(rows)}
    hits = {name: np.zeros(len(rows), bool) for name in VERSIONS}
    unreadable: list[Unreadable] = []
    done = 0
    report(0, len(rows), 0)
    with datamodule.watchdog.explaining():
        for batch in datamodule.rows_dataloader(rows):
            unreadable += batch.unreadable
            if len(batch):
                places = [place[row] for row in batch.indices.tolist()]
                for name, found in _answers(model, datamodule, batch).items():
                    hits[name][places] = found == labels[places]
            done += len(batch) + len(batch.unreadable)
            report(done, len(rows), len(unreadable))
    groups = datamodule.manifest.table["group"].take(rows).to_pylist()
    return OrderProbe(hits, labels, groups, tuple(unreadable))


def _answers(model: nn.Module, datamodule: VideoDataModule, batch: Batch) -> dict[str, np.ndarray]:
    """Return the likeliest class of each video, int64 (B,), by version."""
    seeds = [
        (datamodule.seed, int(row), view)
        for row in batch.indices.tolist()
        for view in range(batch.num_views)
    ]
    device = next(model.parameters()).device
    batch = datamodule.transform.on_device(batch.to(device), seed=datamodule.seed, train=False)
    answers = {}
    for name, version in VERSIONS.items():
        scored = [  # (B, K) each
            video_probabilities(
                model,
                {"rgb": clips},
                datamodule.views["test"],
                clips_at_once=datamodule.batch_size,
            )
            for clips in version(batch.inputs["rgb"], seeds)
        ]
        answers[name] = torch.stack(scored).mean(0).argmax(1).numpy()
    return answers


def _pair(share: Share) -> dict[str, Any]:
    return {
        "value": share.value,
        "interval": None if share.interval is None else list(share.interval),
    }
