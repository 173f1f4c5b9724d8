"""Loaders for the three parts of a data set; the device transform after the transfer.

Workers decode, crop and resize in uint8; `on_after_batch_transfer` does everything else where the
batch lies. The main process counts how long it waited for data.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from videoclf.data.balance import Balance, Reads, expected_reads
from videoclf.data.batch_sampler import EvalBatches, TrainBatches
from videoclf.data.dataset import VideoDataset, collate
from videoclf.data.flow_source import FlowSource
from videoclf.data.manifest import Manifest
from videoclf.data.watchdog import FileWatchdog
from videoclf.errors import CheckpointError, DataError
from videoclf.evaluation.views import Views
from videoclf.multigrid import Multigrid, MultigridPlan
from videoclf.parent import die_with_parent
from videoclf.readers import reader_class
from videoclf.readers.content import HashCheck
from videoclf.samplers import Sampler
from videoclf.transforms.clip import ClipTransform
from videoclf.types import Batch, ClipShape


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
        transform: crops, resize, augmentation, normalisation.
        views: the protocol of the test; validation always takes one clip and one crop.
        batch_size: videos a rank and step; in evaluation, views a rank and step.
        clips_per_video: training clips from each opened video.
        num_workers: loader processes a rank.
        seed: of the run.
        test_subset: what `test_dataloader` reads.
        verify_hashes: as `VideoDataset` takes it.
        seconds_per_file: time limit for a loader process to read one file; None sets none.
        modalities: what a clip consists of: rgb, flow or both.
        flow: where flow comes from, if it is one of them.
        same_clips: every epoch trains on the same clips of a video, augmentation included.
        balance: how often an epoch reads the videos of rare classes.
        augment: False trains on the clip of the validation, as it is.
        passes: batches that an optimiser step accumulates, where an epoch has whole steps only.
        multigrid: shapes that training clips go through; None keeps the sampler's and the crop's.
        max_epochs: of the training, which these shapes share out.
        max_val_batches: a validation reads so many batches of each rank; None reads all.

    Before a test may be set: `test_subset`, `share_frames` (whether clips do) and `tested_rows`, of
    the manifest, which are left out.
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
        verify_hashes: HashCheck = "once",
        seconds_per_file: float | None = None,
        modalities: Sequence[str] = ("rgb",),
        flow: FlowSource | None = None,
        same_clips: bool = False,
        balance: Balance = "none",
        augment: bool = True,
        max_val_batches: int | None = None,
        passes: int = 1,
        multigrid: Multigrid | None = None,
        max_epochs: int = 1,
    ) -> None:
        super().__init__()
        transform.check_crops(views.num_crops)
        views.sizes(transform.resize_pixels, transform.crop_pixels)
        transform.check_modalities(modalities)
        self.manifest = manifest
        self.folder = folder
        self.open_video = reader_class(reader)
        self.sampler = sampler
        self.transform = transform
        self.views = {"val": views.one_view(), "test": views}
        self.batch_size = batch_size
        self.clips_per_video = clips_per_video
        self.num_workers = num_workers
        self.seed = seed
        self.test_subset = test_subset
        self.verify_hashes: HashCheck = verify_hashes
        self.modalities = modalities
        self.flow = flow
        self.same_clips = same_clips
        self.balance: Balance = balance
        self.augment = augment
        self.max_val_batches = max_val_batches
        self.share_frames = False
        self.tested_rows = np.zeros(0, np.int64)
        self.passes = passes
        self.multigrid = multigrid
        self.max_epochs = max_epochs
        self.watchdog = FileWatchdog(
            seconds_per_file=seconds_per_file, path_of=lambda row: manifest.record(row).path
        )
        self._loaders: list[TimedLoader] = []
        self._train_batches: TrainBatches | None = None
        self._earlier_wait_seconds = 0.0
        self._start = (0, 0)

    @property
    def wait_seconds(self) -> float:
        """Seconds that this rank has waited for batches so far."""
        return self._earlier_wait_seconds + sum(loader.wait_seconds for loader in self._loaders)

    def state_dict(self) -> dict[str, Any]:
        """Return the place in the order of samples: the batch that is trained on next."""
        assert self.trainer is not None
        return {
            "epoch": self.trainer.current_epoch,
            "batch": self.trainer.fit_loop.epoch_loop.batch_progress.current.completed,
            "global_batch_size": self.batch_size * self._world,
            "passes": self.passes,
            "wait_seconds": self.wait_seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next training loader begin where another run stopped.

        Raises:
            CheckpointError: its batches had another size, so that no order continues its own.
        """
        size = self.batch_size * self._world
        step = size * self.passes
        saved_size, batch = state_dict["global_batch_size"], state_dict["batch"]
        saved_step = saved_size * state_dict.get("passes", self.passes)
        if step != saved_step or batch * saved_size % size:
            raise CheckpointError(
                f"the checkpoint is of {saved_step} videos a step, and data.batch_size="
                f"{self.batch_size} on {self._world} rank(s) makes {step}; keep their product"
            )
        self._start = state_dict["epoch"], batch * saved_size // size
        if self._train_batches is not None:  # a sharded run reads its checkpoint after its setup
            self._train_batches.start_at(*self._start)
            self._start = (0, 0)
        self._earlier_wait_seconds = state_dict["wait_seconds"]

    @property
    def clip_shape(self) -> ClipShape:
        """The shape of a clip, where it does not change."""
        return ClipShape(self.sampler.num_frames, self.transform.crop_pixels)

    @property
    def plan(self) -> MultigridPlan | None:
        """The shape of each step of the training, where it changes."""
        return self._plan(self._world)

    def _plan(self, world: int) -> MultigridPlan | None:
        if self.multigrid is None:
            return None
        return MultigridPlan(
            self.multigrid,
            whole=self.clip_shape,
            units=self._whole_steps(world),
            epochs=self.max_epochs,
        )

    def _whole_steps(self, world: int) -> int:
        """Return the steps of an epoch, if all are alike."""
        return len(self.rows("train")) // (self.batch_size * world * self.passes)

    def fewest_batches(self, world: int) -> int:
        """Return how many batches a rank reads in an epoch, in the shortest if they differ.

        Args:
            world: number of ranks.
        """
        plan = self._plan(world)
        if plan is None:
            return self._whole_steps(world) * self.passes
        return min(len(plan.steps(epoch)) for epoch in range(plan.epochs)) * self.passes

    def rows(self, subset: str) -> np.ndarray:
        """Return the manifest's rows of a subset, int64.

        Raises:
            DataError: it has none.
        """
        rows: np.ndarray = self.manifest.rows(subset).to_numpy(zero_copy_only=False)
        if not len(rows):
            counts = ", ".join(f"{name} {count}" for name, count in self.manifest.counts().items())
            raise DataError(f"the data have no {subset} videos ({counts}); choose another subset")
        if subset == "val" and self.max_val_batches is not None:
            rows = rows[: self.max_val_batches * self.batch_size * self._world]
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
        rows = self.rows("train")
        batches = TrainBatches(
            rows,
            batch_size=self.batch_size,
            seed=self.seed,
            rank=self._rank,
            world=self._world,
            reads=self._reads(rows),
            passes=self.passes,
            plan=self.plan,
        )
        batches.start_at(*self._start)
        self._start = (0, 0)  # any further loader reads whole epochs
        self._train_batches = batches
        return self._loader(batches, views=None if self.augment else self.views["val"])

    def val_dataloader(self) -> TimedLoader:
        """One centre clip and crop a validation video."""
        return self._eval_loader(self.rows("val"), self.views["val"])

    def test_dataloader(self) -> TimedLoader:
        """All views of each video of `test_subset`."""
        rows = self.rows(self.test_subset)
        left = rows[~np.isin(rows, self.tested_rows)]
        # with nothing left, one video is read again, so that the loop and its hooks are run
        left = left if len(left) else rows[:1]
        return self._eval_loader(left, self.views["test"], share_frames=self.share_frames)

    def rows_dataloader(self, rows: np.ndarray) -> TimedLoader:
        """All test views of some rows of the manifest, int64 (N,), in their order."""
        views = self.views["test"]
        videos = max(1, self.batch_size // views.num_views)
        return self._loader(EvalBatches(rows, batch_size=videos, rank=0, world=1), views=views)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Augment and normalise where the batch lies."""
        train = bool(self.trainer and self.trainer.training) and self.augment
        return self.transform.on_device(batch, seed=self.seed, train=train)

    def _reads(self, rows: np.ndarray) -> Reads | None:
        labels = self.manifest.table["labels"].take(rows)
        lengths = pc.list_value_length(labels).to_numpy()
        return expected_reads(lengths, pc.list_flatten(labels).to_numpy(), self.balance)

    def _longest_wait(self, videos: int) -> float:
        """Seconds after which a batch is given up: each of its videos may take its time, once.

        Files are watched one by one; this finds a loader process that hangs with none open.
        """
        limit = self.watchdog.seconds_per_file
        if limit is None or not self.num_workers:
            return 0.0
        return limit * (videos + 1)

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def _world(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    def _eval_loader(
        self, rows: np.ndarray, views: Views, *, share_frames: bool = False
    ) -> TimedLoader:
        videos = max(1, self.batch_size // views.num_views)
        batches = EvalBatches(rows, batch_size=videos, rank=self._rank, world=self._world)
        return self._loader(batches, views=views, share_frames=share_frames)

    def _loader(
        self,
        batches: TrainBatches | EvalBatches,
        *,
        views: Views | None,
        share_frames: bool = False,
    ) -> TimedLoader:
        dataset = VideoDataset(
            manifest=self.manifest,
            folder=self.folder,
            open_video=self.open_video,
            sampler=self.sampler,
            transform=self.transform,
            seed=self.seed,
            views=views,
            clips_per_video=self.clips_per_video,
            verify_hashes=self.verify_hashes,
            modalities=self.modalities,
            flow=self.flow,
            same_clips=self.same_clips,
            share_frames=share_frames,
            open_files=self.watchdog.watch(self.num_workers),
        )
        loader = TimedLoader(
            dataset,
            batch_sampler=batches,
            num_workers=self.num_workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0 and isinstance(batches, TrainBatches),
            worker_init_fn=_start_worker if self.num_workers else None,
            timeout=self._longest_wait(batches.most_videos),
        )
        self._loaders.append(loader)
        return loader


def _start_worker(worker_id: int) -> None:  # noqa: ARG001
    """One thread a worker; Ctrl-C and SIGTERM are for the rank, which then ends its workers."""
    die_with_parent()
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
