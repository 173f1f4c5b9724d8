"""One record -> sampler -> reader -> uint8 clips: what a loader worker does.

A video is opened once and decoded in one pass over the union of all its clips' frames. A video
that cannot be read becomes an `Unreadable`, never another video.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from videoclf.data.flow_source import FlowSource
from videoclf.data.footage import Footage, open_footage
from videoclf.data.manifest import Manifest
from videoclf.data.watchdog import OpenFiles
from videoclf.errors import UnreadableVideoError
from videoclf.readers import Reader
from videoclf.readers.content import HashCheck, check_content
from videoclf.readers.span import frame_span
from videoclf.samplers import Sampler
from videoclf.transforms.clip import ClipTransform
from videoclf.transforms.resizing import resize_frames
from videoclf.types import Batch, ClipShape, Record, Sample, SampleKey, Unreadable

if TYPE_CHECKING:
    from videoclf.evaluation.views import Views


class VideoDataset(Dataset[Sample | Unreadable]):
    """Samples by (epoch, row of the manifest), and the shape of a training clip if one is given.

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
        modalities: what a clip consists of: rgb, flow or both.
        flow: where flow comes from.
        same_clips: every epoch draws as epoch 0, and the samples say so.
        share_frames: of the views of one modality, give each distinct frame once; see `Sample`.
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
        modalities: Sequence[str] = ("rgb",),
        flow: FlowSource | None = None,
        same_clips: bool = False,
        share_frames: bool = False,
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
        self.modalities = modalities
        self.flow = flow
        self.same_clips = same_clips
        self.share_frames = share_frames

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, key: SampleKey) -> Sample | Unreadable:
        """Read one record; the file is noted as open meanwhile."""
        epoch, index, *shape = key
        with self.open_files.reading(index) if self.open_files else nullcontext():
            return self._read(0 if self.same_clips else epoch, index, *shape)

    def _read(self, epoch: int, index: int, shape: ClipShape | None = None) -> Sample | Unreadable:
        record = self.manifest.record(index)
        needs_video = "rgb" in self.modalities or self.flow is None or self.flow.folder is None
        try:
            if needs_video and record.sha256 is not None and self.verify_hashes != "never":
                path, remember = str(self.folder / record.path), self.verify_hashes == "once"
                check_content(path, record.sha256, remember=remember)
            with open_footage(
                self.folder,
                record.path,
                modalities=self.modalities,
                open_video=self.open_video,
                flow=self.flow,
            ) as footage:
                span = frame_span(record.path, footage.times, record.start, record.end)
                if self.views is not None:
                    return self._evaluated(footage, record, epoch, index, span, self.views)
                generator = np.random.default_rng((self.seed, epoch, index))
                clips = self._train_clips(footage, span, generator, shape)
        except UnreadableVideoError as error:
            return Unreadable(index, record.path, error.reason)
        return Sample(clips, record.labels, epoch, index)

    def _train_clips(
        self,
        footage: Footage,
        span: tuple[int, int],
        generator: np.random.Generator,
        shape: ClipShape | None,
    ) -> dict[str, np.ndarray]:
        """Decode once, crop every clip of every modality alike: uint8 (V, T, H, W, C) each."""
        sampler, transform = self.sampler, self.transform
        if shape is not None and shape.num_frames < sampler.num_frames:
            sampler = sampler.coarser(shape.num_frames)
        if shape is not None and shape.crop_pixels < transform.crop_pixels:
            transform = transform.smaller(shape.crop_pixels)
        first, last = span
        draws = range(self.clips_per_video)
        clips = [sampler.train_clip(last - first, footage.fps, generator) for _ in draws]
        distinct, rows = _distinct(np.stack(clips) + first)
        decoded = footage.frames(distinct, short_side=transform.train_short_side(generator))
        height, width = decoded[self.modalities[0]].shape[1:3]
        boxes = [transform.train_box(height, width, generator) for _ in rows]
        return {
            modality: np.stack(
                [
                    transform.cut(decoded[modality], box, clip)
                    for clip, box in zip(rows, boxes, strict=True)
                ]
            )
            for modality in self.modalities
        }

    def _evaluated(
        self,
        footage: Footage,
        record: Record,
        epoch: int,
        index: int,
        span: tuple[int, int],
        views: Views,
    ) -> Sample:
        """Decode once, cut all views; note how long the record is and how much of it moves."""
        first, last = span
        indices = self.sampler.eval_clips(
            last - first, footage.fps, views.num_clips, views.positions
        )
        distinct, rows = _distinct(indices + first)
        short_side, edge = views.sizes(self.transform.resize_pixels, self.transform.crop_pixels)
        by_decoder = views.resizing == "decoder"
        decoded = footage.frames(distinct, short_side=short_side if by_decoder else None)
        if not by_decoder:
            decoded = {
                modality: resize_frames(
                    frames,
                    resizing=views.resizing,
                    short_side=short_side,
                    size=views.size_pixels,
                )
                for modality, frames in decoded.items()
            }
        crops = {
            modality: self.transform.view_crops(
                decoded[modality],
                views.num_crops,
                modality,
                crop_pixels=edge,
                even_centre=not by_decoder,
            )
            for modality in self.modalities
        }
        middle = rows[views.num_clips // 2]
        return Sample(
            {
                modality: np.stack(cut) if self.share_frames else _gathered(cut, rows)
                for modality, cut in crops.items()
            },
            record.labels,
            epoch,
            index,
            seconds=(last - first) / footage.fps,
            motion=motion_amount(crops["rgb"][0][middle]) if "rgb" in crops else math.nan,
            frame_rows=rows if self.share_frames else None,
        )


def _distinct(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct frames (N,) of indices (clips, T), and where each stands, (clips, T)."""
    distinct, inverse = np.unique(indices, return_inverse=True)
    return distinct, inverse.reshape(indices.shape)


def motion_amount(clip: np.ndarray) -> float:
    """Return the mean absolute difference of successive frames of a clip, in [0, 1].

    Every fourth pixel of each direction tells it as well as all do.

    Args:
        clip: uint8 (T, H, W, C); NaN of a single frame.
    """
    if len(clip) < 2:
        return math.nan
    coarse = clip[:, ::4, ::4].astype(np.int16)
    return float(np.abs(np.diff(coarse, axis=0)).mean() / 255)


def _gathered(crops: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Put views together from crops of each distinct frame, cut once: clips share frames.

    Args:
        crops: uint8 (N, H, W, C) each.
        rows: int64 (clips, T), which of the N frames.

    Returns:
        uint8 (clips * crops, T, H, W, C).
    """
    num_clips, num_frames = rows.shape
    views = np.empty((num_clips, len(crops), num_frames, *crops[0].shape[1:]), np.uint8)
    for clip, frame in np.ndindex(num_clips, num_frames):  # one by one: nothing is held twice
        for number, crop in enumerate(crops):
            views[clip, number, frame] = crop[rows[clip, frame]]
    return views.reshape(-1, *views.shape[2:])


def collate(samples: Sequence[Sample | Unreadable]) -> Batch:
    """Stack samples into one uint8 batch; unreadable ones are listed beside it."""
    read = [sample for sample in samples if isinstance(sample, Sample)]
    inputs: dict[str, torch.Tensor] = {}
    frame_rows = _shared_rows(read)
    for modality in read[0].clips if read else ():
        clips = [sample.clips[modality] for sample in read]
        if frame_rows is None:
            inputs[modality] = torch.from_numpy(np.stack(clips))
        else:
            frames = [each.reshape(-1, *each.shape[2:]) for each in clips]  # (crops * N, H, W, C)
            inputs[modality] = torch.from_numpy(np.concatenate(frames)[None, None])
    width = max((len(sample.labels) for sample in read), default=1)
    labels = torch.full((len(read), width), -1, dtype=torch.int64)
    for row, sample in enumerate(read):
        labels[row, : len(sample.labels)] = torch.tensor(sample.labels)
    return Batch(
        inputs=inputs,
        labels=labels,
        epochs=torch.tensor([sample.epoch for sample in read], dtype=torch.int64),
        indices=torch.tensor([sample.index for sample in read], dtype=torch.int64),
        num_views=_num_views(read, frame_rows),
        unreadable=tuple(sample for sample in samples if isinstance(sample, Unreadable)),
        seconds=torch.tensor([sample.seconds for sample in read], dtype=torch.float32),
        motion=torch.tensor([sample.motion for sample in read], dtype=torch.float32),
        frame_rows=frame_rows,
    )


def _num_views(read: Sequence[Sample], frame_rows: torch.Tensor | None) -> int:
    if frame_rows is not None:
        return frame_rows.shape[1]
    return len(next(iter(read[0].clips.values()))) if read else 0


def _shared_rows(read: Sequence[Sample]) -> torch.Tensor | None:
    """Return which of the batch's distinct frames each view takes, int64 (B, V, T), if shared."""
    views, before = [], 0
    for sample in read:
        if sample.frame_rows is None:
            return None
        num_crops, num_frames = next(iter(sample.clips.values())).shape[:2]
        crops = before + num_frames * np.arange(num_crops)[:, None]  # (crops, 1)
        rows = sample.frame_rows[:, None] + crops  # (clips, crops, T)
        views.append(rows.reshape(-1, rows.shape[2]))
        before += num_crops * num_frames
    return torch.from_numpy(np.stack(views)) if views else None
