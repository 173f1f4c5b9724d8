"""Time the loading of training clips, stage by stage and as a whole, without a model.

The stages are timed in one process, which does what a loader worker does; the whole is the loader
as training uses it, with its workers.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from videoclf.data import dataset as dataset_module
from videoclf.data.datamodule import VideoDataModule
from videoclf.data.dataset import VideoDataset
from videoclf.data.footage import FramesWithFlow
from videoclf.errors import DataError
from videoclf.flow.stored import StoredFlow
from videoclf.readers import Reader
from videoclf.readers.scaling import Scaler
from videoclf.types import Batch, Sample

#: The stages in the order of a clip's way, and what each covers.
STAGES = {
    "open": "open the file, find or make its packet index",
    "decode": "read packets and decode frames",
    "convert": "convert frames to RGB and resize them",
    "flow": "estimate optical flow, or read it",
    "crop": "cut and resize the crops",
    "gather": "draw indices and crops, put clips together",
    "collate": "put the batch together",
    "wait": "wait for the disk, and for other processes",
}


@dataclass(frozen=True)
class Stages:
    """What the stages of some clips cost in one process.

    Args:
        clips: how many were made.
        seconds: wall time.
        cpu_seconds: by stage, without "wait".
    """

    clips: int
    seconds: float
    cpu_seconds: dict[str, float]

    @property
    def cpu_ms_per_clip(self) -> float:
        """CPU milliseconds that a clip costs."""
        return 1000 * sum(self.cpu_seconds.values()) / self.clips

    def shares(self) -> dict[str, float]:
        """Return the share of the wall time that each stage takes; they sum to 1."""
        total = max(self.seconds, sum(self.cpu_seconds.values()))
        shares = {
            stage: self.cpu_seconds.get(stage, 0.0) / total
            for stage in STAGES
            if stage in self.cpu_seconds or stage != "flow"  # of runs that see it
        }
        shares["wait"] = max(0.0, 1.0 - sum(shares.values()))
        return shares


@dataclass(frozen=True)
class LoaderTimes:
    """What was measured.

    Args:
        first: stages of videos that are opened for the first time, where no index was cached.
        again: the same videos once more, as in every later epoch.
        clips_per_second: of the loader with its workers.
        frames_per_second: the same in frames of the clips.
        first_batch_seconds: from the start of the workers to the first batch.
        num_workers: loader processes.
        num_cores: that this process may use.
        clips_per_video: clips drawn from each opened video.
        batch_size: videos a batch.
        resize_pixels: short side that frames are converted at.
        crop_pixels: edge of a clip's frames.
        short_side_pixels: of the files, median.
        gop_frames: frames from one keyframe to the next, median over the files; None where a
            reader does not say.
        unreadable: videos that could not be read.
    """

    first: Stages
    again: Stages
    clips_per_second: float
    frames_per_second: float
    first_batch_seconds: float
    num_workers: int
    num_cores: int
    clips_per_video: int
    batch_size: int
    resize_pixels: int
    crop_pixels: int
    short_side_pixels: float
    gop_frames: float | None
    unreadable: int


class _Stopwatch:
    """CPU seconds by stage; a stage within another one counts for itself alone."""

    def __init__(self) -> None:
        self.cpu_seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.process_time()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent = time.process_time() - began
            self.cpu_seconds[name] += spent - self._inner.pop()
            self._inner[-1] += spent

    def timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            with self.stage(stage):
                return function(*arguments, **keywords)

        return call


class _Files:
    """What the opened files are like."""

    def __init__(self) -> None:
        self.short_sides: list[int] = []
        self.gops: list[float] = []

    def note(self, reader: Any) -> None:
        self.short_sides.append(min(reader.height, reader.width))
        index = getattr(reader, "index", None)
        if index is not None:
            self.gops.append(reader.num_frames / max(1, len(index.key_timestamps)))


def time_loader(datamodule: VideoDataModule, *, seconds: float) -> LoaderTimes:
    """Measure the training loader of a data module.

    Args:
        datamodule: with a training subset.
        seconds: about how long to measure; half of it the stages, half the whole.

    Raises:
        DataError: no video could be read.
    """
    loader = datamodule.train_dataloader()
    dataset: Any = loader.dataset
    batches: Any = loader.batch_sampler
    files, threads = _Files(), torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    try:
        first, seen, unreadable = _time_stages(dataset, batches, files, seconds / 4)
        again, _, _ = _time_stages(dataset, seen, files, float("inf"))
    finally:
        torch.set_num_threads(threads)
    first_batch, elapsed, clips, frames = _time_whole(datamodule, seconds / 2)
    return LoaderTimes(
        first=first,
        again=again,
        clips_per_second=clips / elapsed,
        frames_per_second=frames / elapsed,
        first_batch_seconds=first_batch,
        num_workers=datamodule.num_workers,
        num_cores=len(os.sched_getaffinity(0)),
        clips_per_video=datamodule.clips_per_video,
        batch_size=datamodule.batch_size,
        resize_pixels=datamodule.transform.resize_pixels,
        crop_pixels=datamodule.transform.crop_pixels,
        short_side_pixels=float(np.median(files.short_sides)),
        gop_frames=float(np.median(files.gops)) if files.gops else None,
        unreadable=unreadable,
    )


Keys = Sequence[Sequence[tuple[int, int]]]


def _time_stages(
    dataset: VideoDataset, batches: Keys, files: _Files, seconds: float
) -> tuple[Stages, Keys, int]:
    """Make batches in this process for some seconds; return also their keys and what failed."""
    watch = _Stopwatch()
    seen: list[Sequence[tuple[int, int]]] = []
    clips = unreadable = 0
    began = time.perf_counter()
    with _watched(dataset, watch, files):
        for batch in batches:
            with watch.stage("gather"):
                samples = [dataset[key] for key in batch]
            with watch.stage("collate"):
                dataset_module.collate(samples)
            seen.append(batch)
            read = [sample for sample in samples if isinstance(sample, Sample)]
            clips += sum(len(next(iter(sample.clips.values()))) for sample in read)
            unreadable += len(samples) - len(read)
            if time.perf_counter() - began > seconds:
                break
    elapsed = time.perf_counter() - began
    if not clips:
        raise DataError(f"none of {unreadable} videos could be read; run videoclf check on them")
    return Stages(clips, elapsed, dict(watch.cpu_seconds)), seen, unreadable


@contextmanager
def _watched(dataset: VideoDataset, watch: _Stopwatch, files: _Files) -> Iterator[None]:
    """Time the steps that a data set takes by wrapping what it calls."""
    open_video, cut = watch.timed(dataset.open_video, "open"), dataset.transform.cut

    codes = StoredFlow.codes

    def stored_codes(stored: StoredFlow, indices: np.ndarray) -> np.ndarray:
        files.note(stored)
        return codes(stored, indices)

    def opened(path: str) -> Reader:
        reader: Reader = open_video(path)
        files.note(reader)
        frames = watch.timed(reader.frames, "decode")
        reader.frames = frames  # type: ignore[method-assign]
        return reader

    with ExitStack() as stack:
        enter = stack.enter_context
        enter(_replaced(dataset, "open_video", opened))
        enter(_replaced(dataset.transform, "cut", watch.timed(cut, "crop")))
        enter(_replaced(Scaler, "rgb", watch.timed(Scaler.rgb, "convert")))
        estimated = watch.timed(FramesWithFlow.estimated, "flow")
        enter(_replaced(FramesWithFlow, "estimated", estimated))
        enter(_replaced(StoredFlow, "codes", watch.timed(stored_codes, "flow")))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Let an attribute of an object or a class have another value for the time of the block."""
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


def _time_whole(datamodule: VideoDataModule, seconds: float) -> tuple[float, float, int, int]:
    """Read from the loader for some seconds, epoch after epoch.

    Returns:
        Seconds to the first batch, seconds of the others, and their clips and frames. Where one
        batch takes all the time, it is what is counted.
    """
    loader = datamodule.train_dataloader()
    began = time.perf_counter()
    first: float | None = None
    clips = frames = 0
    with closing(_epochs(loader)) as batches:
        for batch in batches:
            now = time.perf_counter() - began
            counted = first is not None
            first = now if first is None else first
            if counted or now > seconds:
                video = next(iter(batch.inputs.values()), torch.empty(0, 0, 0))
                clips += video.shape[0] * video.shape[1]
                frames += video.shape[0] * video.shape[1] * video.shape[2]
            if now > seconds:
                return first, (now - first) if counted else now, clips, frames
    raise AssertionError("epochs do not end")


def _epochs(loader: Any) -> Generator[Batch, None, None]:
    for epoch in range(1 << 62):
        loader.batch_sampler.set_epoch(epoch)
        yield from loader
