"""Loaders for the three parts of a data set; the device transform after the transfer.

Workers decode, crop and resize in uint8; `on_after_batch_transfer` does everything else where the
batch lies. The main process counts how long it waited for data.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from videoclf.data.batch_sampler import EvalBatches, TrainBatches
from videoclf.data.dataset import VideoDataset, collate
from videoclf.data.manifest import Manifest
from videoclf.errors import DataError
from videoclf.evaluation.views import Views
from videoclf.readers import reader_class
from videoclf.samplers import Sampler
from videoclf.transforms.clip import ClipTransform
from videoclf.types import Batch


class TimedLoader(DataLoader[Any]):
    """A DataLoader that knows how long its reader waited: `wait_seconds`, summed over epochs."""

    wait_seconds = 0.0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        began = time.perf_counter()
        batches = super().__iter__()
        while True:
            batch = next(batches, None)
            self.wait_seconds += time.perf_counter() - began
            if batch is None:
                return
            yield batch
            began = time.perf_counter()


class VideoDataModule(pl.LightningDataModule):
    """Train, validation and test loaders over one manifest.

    Args:
        manifest: all records.
        folder: the data root.
        reader: backend by name.
        sampler: which frames a clip takes.
        transform: crops, resize, flip, normalisation.
        views: the protocol of the test; validation always takes one clip and one crop.
        batch_size: videos a rank and step; in evaluation, views a rank and step.
        clips_per_video: training clips from each opened video.
        num_workers: loader processes a rank.
        seed: of the run.
        test_subset: what `test_dataloader` reads.
    """

    def __init__(
        self,
        *,
        manifest: Manifest,
        folder: Path,
        reader: str,
        sampler: Sampler,
        transform: ClipTransform,
        views: Views,
        batch_size: int,
        clips_per_video: int,
        num_workers: int,
        seed: int,
        test_subset: str = "test",
    ) -> None:
        super().__init__()
        self.manifest = manifest
        self.folder = folder
        self.open_video = reader_class(reader)
        self.sampler = sampler
        self.transform = transform
        self.views = {"val": Views(num_clips=1, num_crops=1, average=views.average)}
        self.views["test"] = views
        self.batch_size = batch_size
        self.clips_per_video = clips_per_video
        self.num_workers = num_workers
        self.seed = seed
        self.test_subset = test_subset
        self._loaders: list[TimedLoader] = []

    @property
    def wait_seconds(self) -> float:
        """Seconds that this rank has waited for batches so far."""
        return sum(loader.wait_seconds for loader in self._loaders)

    def rows(self, subset: str) -> np.ndarray:
        """Return the manifest's rows of a subset, int64.

        Raises:
            DataError: it has none.
        """
        rows: np.ndarray = self.manifest.rows(subset).to_numpy(zero_copy_only=False)
        if not len(rows):
            counts = ", ".join(f"{name} {count}" for name, count in self.manifest.counts().items())
            raise DataError(f"the data have no {subset} videos ({counts}); choose another subset")
        return rows

    def listed(self, subset: str) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and labels, int64 (N,) each, of a single-label subset."""
        rows = self.rows(subset)
        labels = pc.list_element(self.manifest.table["labels"].take(rows), 0)
        return rows, labels.to_numpy().astype(np.int64)

    def train_dataloader(self) -> TimedLoader:
        """Shuffled videos, `clips_per_video` clips of each.

        The global batches are the same for any number of ranks.
        """
        batches = TrainBatches(
            self.rows("train"),
            batch_size=self.batch_size,
            seed=self.seed,
            rank=self._rank,
            world=self._world,
        )
        return self._loader(batches, views=None)

    def val_dataloader(self) -> TimedLoader:
        """One centre clip and crop a validation video."""
        return self._eval_loader("val", self.views["val"])

    def test_dataloader(self) -> TimedLoader:
        """All views of each video of `test_subset`."""
        return self._eval_loader(self.test_subset, self.views["test"])

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Flip and normalise where the batch lies."""
        train = bool(self.trainer and self.trainer.training)
        return self.transform.on_device(batch, seed=self.seed, train=train)

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    def _eval_loader(self, subset: str, views: Views) -> TimedLoader:
        videos = max(1, self.batch_size // views.num_views)
        batches = EvalBatches(
            self.rows(subset), batch_size=videos, rank=self._rank, world=self._world
        )
        return self._loader(batches, views=views)

    def _loader(self, batches: TrainBatches | EvalBatches, *, views: Views | None) -> TimedLoader:
        dataset = VideoDataset(
            manifest=self.manifest,
            folder=self.folder,
            open_video=self.open_video,
            sampler=self.sampler,
            transform=self.transform,
            seed=self.seed,
            views=views,
            clips_per_video=self.clips_per_video,
        )
        loader = TimedLoader(
            dataset,
            batch_sampler=batches,
            num_workers=self.num_workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0 and views is None,
            worker_init_fn=_start_worker if self.num_workers else None,
        )
        self._loaders.append(loader)
        return loader


def _start_worker(worker_id: int) -> None:  # noqa: ARG001
    """One thread a worker; Ctrl-C and SIGTERM are for the rank, which then ends its workers."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
