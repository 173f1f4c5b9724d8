"""One record -> sampler -> reader -> uint8 clips: what a loader worker does.

A video is opened once and decoded in one pass over the union of all its clips' frames. A video
that cannot be read becomes an `Unreadable`, never another video.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from videoclf.data.manifest import Manifest
from videoclf.errors import UnreadableVideoError
from videoclf.readers import Reader
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
    ) -> None:
        self.manifest = manifest
        self.folder = folder
        self.open_video = open_video
        self.sampler = sampler
        self.transform = transform
        self.seed = seed
        self.views = views
        self.clips_per_video = clips_per_video

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, key: tuple[int, int]) -> Sample | Unreadable:
        epoch, index = key
        record = self.manifest.record(index)
        try:
            with self.open_video(str(self.folder / record.path)) as reader:
                clips = self._clips(
                    reader, record, np.random.default_rng((self.seed, epoch, index))
                )
        except UnreadableVideoError as error:
            return Unreadable(index, record.path, error.reason)
        return Sample({"rgb": clips}, record.labels, epoch, index)

    def _clips(self, reader: Reader, record: Record, generator: np.random.Generator) -> np.ndarray:
        """Decode once, crop every view: uint8 (V, T, H, W, C)."""
        first, last = frame_span(reader, record)
        if self.views is None:
            draws = range(self.clips_per_video)
            clips = [self.sampler.train_clip(last - first, reader.fps, generator) for _ in draws]
            indices = np.stack(clips)
        else:
            indices = self.sampler.eval_clips(last - first, reader.fps, self.views.num_clips)
        distinct, inverse = np.unique(indices + first, return_inverse=True)
        frames = reader.frames(distinct, short_side=self.transform.resize_pixels)
        height, width = frames.shape[1:3]
        rows = inverse.reshape(indices.shape)  # (clips, T) -> positions in `frames`
        if self.views is None:
            boxes = [self.transform.train_box(height, width, generator) for _ in rows]
            cut = [
                self.transform.cut(frames[clip], box) for clip, box in zip(rows, boxes, strict=True)
            ]
            return np.stack(cut)
        # a crop of each distinct frame is cut once, then gathered: clips share frames
        view_boxes = self.transform.view_boxes(height, width, self.views.num_crops)
        crops = [self.transform.cut(frames, box) for box in view_boxes]
        return np.stack([crop[clip] for clip in rows for crop in crops])


def frame_span(reader: Reader, record: Record) -> tuple[int, int]:
    """Return the half-open range of frames between a record's start and end.

    Raises:
        UnreadableVideoError: no frame lies between them.
    """
    start = 0.0 if record.start is None else record.start
    # a frame exactly at `end` belongs to what follows; 1e-6 absorbs the rounding of timestamps
    first = int(np.searchsorted(reader.times, start - 1e-6))
    last = reader.num_frames
    if record.end is not None:
        last = int(np.searchsorted(reader.times, record.end - 1e-6))
    if last <= first:
        length = float(reader.times[-1]) if reader.num_frames else 0.0
        reason = (
            f"has no frame between {record.start} s and {record.end} s; it is {length:.2f} s long"
        )
        raise UnreadableVideoError(record.path, reason)
    return first, last


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
