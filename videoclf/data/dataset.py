"""One record -> sampler -> reader -> uint8 clips: what a loader worker does.

A video is opened once and decoded in one pass over the union of all its clips' frames. A video
that cannot be read becomes an `Unreadable`, never another video.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from videoclf.data.manifest import Manifest
from videoclf.data.watchdog import OpenFiles
from videoclf.errors import UnreadableVideoError
from videoclf.readers import Reader
from videoclf.readers.content import HashCheck, check_content
from videoclf.readers.span import frame_span
from videoclf.samplers import Sampler
from videoclf.transforms.clip import ClipTransform
from videoclf.types import Batch, Record, Sample, Unreadable

if TYPE_CHECKING:
    from videoclf.evaluation.views import Views


class VideoDataset(Dataset[Sample | Unreadable]):
    """Samples by (epoch, row of the manifest).

    Args:
        manifest: all records.
        folder: the data root.
        open_video: a reader's class, called with a path.
        sampler: which frames.
        transform: which crop, and its size.
        seed: of the run; with epoch and row it decides every random choice.
        views: the test protocol; None draws random clips and crops, for training.
        clips_per_video: how many, in training.
        verify_hashes: hold each file's content against the manifest's hash, where it has one, at
            the first opening, always or never.
        open_files: where a process notes which file it reads, for who watches it.
    """

    def __init__(
        self,
        *,
        manifest: Manifest,
        folder: Path,
        open_video: Callable[[str], Reader],
        sampler: Sampler,
        transform: ClipTransform,
        seed: int,
        views: Views | None,
        clips_per_video: int = 1,
        verify_hashes: HashCheck = "once",
        open_files: OpenFiles | None = None,
    ) -> None:
        self.manifest = manifest
        self.folder = folder
        self.open_video = open_video
        self.sampler = sampler
        self.transform = transform
        self.seed = seed
        self.views = views
        self.clips_per_video = clips_per_video
        self.verify_hashes = verify_hashes
        self.open_files = open_files

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, key: tuple[int, int]) -> Sample | Unreadable:
        """Read one record; the file is noted as open meanwhile."""
        epoch, index = key
        with self.open_files.reading(index) if self.open_files else nullcontext():
            return self._read(epoch, index)

    def _read(self, epoch: int, index: int) -> Sample | Unreadable:
        record = self.manifest.record(index)
        path = str(self.folder / record.path)
        try:
            if record.sha256 is not None and self.verify_hashes != "never":
                check_content(path, record.sha256, remember=self.verify_hashes == "once")
            with self.open_video(path) as reader:
                clips = self._clips(
                    reader, record, np.random.default_rng((self.seed, epoch, index))
                )
        except UnreadableVideoError as error:
            return Unreadable(index, record.path, error.reason)
        return Sample({"rgb": clips}, record.labels, epoch, index)

    def _clips(self, reader: Reader, record: Record, generator: np.random.Generator) -> np.ndarray:
        """Decode once, crop every view: uint8 (V, T, H, W, C)."""
        first, last = frame_span(record.path, reader.times, record.start, record.end)
        if self.views is None:
            draws = range(self.clips_per_video)
            clips = [self.sampler.train_clip(last - first, reader.fps, generator) for _ in draws]
            indices = np.stack(clips)
        else:
            indices = self.sampler.eval_clips(last - first, reader.fps, self.views.num_clips)
        distinct, inverse = np.unique(indices + first, return_inverse=True)
        rows = inverse.reshape(indices.shape)  # (clips, T) -> positions in the distinct frames
        if self.views is None:
            short_side = self.transform.train_short_side(generator)
            frames = reader.frames(distinct, short_side=short_side)
            height, width = frames.shape[1:3]
            boxes = [self.transform.train_box(height, width, generator) for _ in rows]
            cut = [
                self.transform.cut(frames, box, clip) for clip, box in zip(rows, boxes, strict=True)
            ]
            return np.stack(cut)
        frames = reader.frames(distinct, short_side=self.transform.resize_pixels)
        # a crop of each distinct frame is cut once, then gathered: clips share frames
        crops = self.transform.view_crops(frames, self.views.num_crops)
        views = np.empty((len(rows), len(crops), rows.shape[1], *crops[0].shape[1:]), np.uint8)
        for place, row in np.ndenumerate(rows):  # frame by frame: nothing is held twice
            for number, crop in enumerate(crops):
                views[place[0], number, place[1]] = crop[row]
        return views.reshape(-1, *views.shape[2:])  # (clips * crops, T, H, W, C)


def collate(samples: Sequence[Sample | Unreadable]) -> Batch:
    """Stack samples into one uint8 batch; unreadable ones are listed beside it."""
    read = [sample for sample in samples if isinstance(sample, Sample)]
    inputs: dict[str, torch.Tensor] = {}
    for modality in read[0].clips if read else ():
        inputs[modality] = torch.from_numpy(np.stack([sample.clips[modality] for sample in read]))
    width = max((len(sample.labels) for sample in read), default=1)
    labels = torch.full((len(read), width), -1, dtype=torch.int64)
    for row, sample in enumerate(read):
        labels[row, : len(sample.labels)] = torch.tensor(sample.labels)
    return Batch(
        inputs=inputs,
        labels=labels,
        epochs=torch.tensor([sample.epoch for sample in read], dtype=torch.int64),
        indices=torch.tensor([sample.index for sample in read], dtype=torch.int64),
        num_views=len(next(iter(read[0].clips.values()))) if read else 0,
        unreadable=tuple(sample for sample in samples if isinstance(sample, Unreadable)),
    )
