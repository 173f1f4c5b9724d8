"""A trained network that is asked about videos: `videoclf.load(checkpoint).predict(path)`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from videoclf.data.datamodule import VideoDataModule
from videoclf.data.from_config import build_datamodule
from videoclf.data.manifest import Manifest
from videoclf.errors import UnreadableVideoError
from videoclf.evaluation.views import Views
from videoclf.predicting.listing import unlabelled
from videoclf.predicting.scoring import video_probabilities
from videoclf.types import Batch, Unreadable

#: With fewer videos the start of loader processes costs more than they gain.
_FEW_VIDEOS = 8


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one video.

    Attributes:
        path: of the video, as it was asked for.
        class_names: of the network, (K,).
        probabilities: float32 (K,); of a softmax they sum to 1.
    """

    path: str
    class_names: tuple[str, ...]
    probabilities: np.ndarray

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.class_names[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """Of the likeliest class."""
        return float(self.probabilities.max())

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the likeliest classes with their probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.class_names[at], float(self.probabilities[at])) for at in order]

    def __repr__(self) -> str:
        return f"Prediction({self.path!r}, {self.label} {self.probability:.1%})"


class Predictor:
    """A network with its weights, and the frames, crops and views that it is shown.

    Args:
        model: on its device; put into eval mode.
        class_names: of its classes, (K,).
        settings: plain and resolved: what reads and cuts its clips.
    """

    def __init__(
        self, *, model: nn.Module, class_names: Sequence[str], settings: Mapping[str, Any]
    ) -> None:
        self.model = model.eval()
        self.class_names = tuple(class_names)
        self.settings = settings
        self.device = next(model.parameters()).device
        nothing = unlabelled([], self.class_names)
        self._reading = build_datamodule(settings, manifest=nothing, folder=Path())

    @property
    def views(self) -> Views:
        """The clips and crops of a video that are averaged."""
        return self._reading.views["test"]

    @property
    def reading(self) -> VideoDataModule:
        """What reads and cuts clips, of no videos in particular."""
        return self._reading

    def predict(self, path: str | os.PathLike[str]) -> Prediction:
        """Score one video.

        Raises:
            UnreadableVideoError: it is missing or damaged.
        """
        (found,) = self.predict_rows(
            unlabelled([os.fspath(path)], self.class_names), Path(), np.array([0])
        )
        if isinstance(found, Unreadable):
            raise UnreadableVideoError(found.path, found.reason)
        return found

    def predict_rows(
        self, manifest: Manifest, folder: Path, rows: np.ndarray
    ) -> Iterator[Prediction | Unreadable]:
        """Score rows of a manifest, int64 (N,), in their order.

        Args:
            manifest: of the videos; its labels are not looked at.
            folder: that its paths are below.
            rows: which.

        Yields:
            What was found of each, or why it could not be read.
        """
        settings = self.settings
        if len(rows) < _FEW_VIDEOS or settings["data"]["num_workers"] == 0:
            # read here, where no limit of time may end the process of the caller
            here = {"num_workers": 0, "seconds_per_file": None}
            settings = {**settings, "data": {**settings["data"], **here}}
        datamodule = build_datamodule(settings, manifest=manifest, folder=folder)
        with datamodule.watchdog.explaining():
            for batch in datamodule.rows_dataloader(rows):
                yield from self._in_order(batch, manifest)

    def score(self, batch: Batch) -> np.ndarray:
        """Score uint8 views of videos: float32 (B, K)."""
        batch = self._reading.transform.on_device(batch.to(self.device), seed=0, train=False)
        at_once = self._reading.batch_size
        found = video_probabilities(self.model, batch.inputs, self.views, clips_at_once=at_once)
        return found.numpy()

    def _in_order(self, batch: Batch, manifest: Manifest) -> list[Prediction | Unreadable]:
        """Return what was found of a batch's records, as they stand in the manifest."""
        found: dict[int, Prediction | Unreadable] = {each.index: each for each in batch.unreadable}
        if len(batch):
            for row, probabilities in zip(batch.indices.tolist(), self.score(batch), strict=True):
                path = manifest.record(row).path
                found[row] = Prediction(path, self.class_names, probabilities)
        return [found[row] for row in sorted(found)]
