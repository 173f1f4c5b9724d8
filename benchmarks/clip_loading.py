"""Load a training clip: 8 frames, stride 8, from a 10 s video, at GOP 12 and 250.

At 340x256, as prepared data sets hold it, and at 1280x720, as videos are downloaded.
Ours is a loader worker's whole work, from the file to the clip: open, decode, convert, random
resized crop to 224 pixels. It is held against what FFmpeg alone needs to decode the same frames
(from the keyframe before the first to the last, nothing converted); against pytorchvideo's
labeled dataset with its recipe, both up to a normalised float clip; and against bare loops of
decord, torchcodec and PyAV, where each side returns the same 8 frames at full size.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ours
import torch
from peers import (
    decode_alone,
    import_pytorchvideo,
    pytorchvideo_dataset,
    read_with_decord,
    read_with_pyav,
    read_with_torchcodec,
)
from table import Row, report
from timing import interleaved, ratio_row
from videos import DOWNLOADED, FRAMES_PER_SECOND, PREPARED, encode_scene

from videoclf.data.dataset import VideoDataset, collate
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.pyav import PyavReader
from videoclf.samplers.dense import DenseSampler
from videoclf.types import Sample

NUM_FRAMES, STRIDE = 8, 8
SPAN = (NUM_FRAMES - 1) * STRIDE + 1  # frames from the first of a clip to its last, both counted
RESIZE_PIXELS, CROP_PIXELS = 256, 224
AT_LEAST_PYTORCHVIDEO = {12: 7.5, 250: 2.5}
MAX_DIFFERENCE = 2.0  # mean, of 255: converters round differently, another frame differs by more


@dataclass(frozen=True)
class Work:
    """One video and the clips that every side loads from it."""

    name: str
    path: Path
    index: PacketIndex
    data: VideoDataset
    clips: Sequence[np.ndarray]  # int64 (NUM_FRAMES,) each

    def load(self) -> None:
        """Ours, file to uint8 clip."""
        for epoch in range(len(self.clips)):
            self.data[(epoch, 0)]

    def load_normalised(self) -> None:
        """Ours, and the device transform on the CPU: float32 (1, 3, T, H, W)."""
        for epoch in range(len(self.clips)):
            sample = self.data[(epoch, 0)]
            assert isinstance(sample, Sample)
            self.data.transform.on_device(collate([sample]), seed=0, train=True)

    def read(self, path: Path, clip: np.ndarray) -> np.ndarray:
        """Ours, without a transform: the frames at full size."""
        with PyavReader(str(path)) as reader:
            return reader.frames(clip)

    def decode_alone(self) -> None:
        """FFmpeg's share of the work."""
        keys = np.searchsorted(self.index.timestamps, self.index.key_timestamps)
        for clip in self.clips:
            keyframe = int(keys[np.searchsorted(keys, clip[0], side="right") - 1])
            decode_alone(self.path, keyframe, int(clip[-1]), self.index.timestamps)


def prepare(folder: Path, size: tuple[int, int], gop: int, num_clips: int) -> Work:
    """Encode a video and draw the clips."""
    path = encode_scene(folder / f"{size[0]}p_{gop}.mp4", num_frames=300, gop=gop, size=size)
    sampler = DenseSampler(num_frames=NUM_FRAMES, stride=STRIDE, fps=None, padding="last")
    shape = ours.transform("standard", resize_pixels=RESIZE_PIXELS, crop_pixels=CROP_PIXELS)
    data = ours.dataset([path], sampler, shape)
    with PyavReader(str(path)) as reader:
        index = reader.index
    clips = [ours.drawn_clip(data, epoch, index) for epoch in range(num_clips)]
    return Work(f"{size[1]}x{size[0]}, GOP {gop}", path, index, data, clips)


def measure(*, quick: bool) -> Iterator[Row]:
    """Compare at both sizes and GOPs."""
    ours.use_one_thread()
    amounts = {PREPARED: (8, 7), DOWNLOADED: (3, 3)}  # clips, rounds
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VIDEOCLF_CACHE"] = folder
        for size in (PREPARED,) if quick else (PREPARED, DOWNLOADED):
            num_clips, rounds = (1, 1) if quick else amounts[size]
            for gop in (12,) if quick else (12, 250):
                work = prepare(Path(folder), size, gop, num_clips)
                yield against_ffmpeg(work, rounds)
                yield against_pytorchvideo(work, gop, rounds)
                yield from against_bare_loops(work, rounds)


def against_ffmpeg(work: Work, rounds: int) -> Row:
    """The share of our time in which FFmpeg alone decodes the same frames."""
    seconds = interleaved({"ours": work.load, "FFmpeg": work.decode_alone}, rounds=rounds)
    text = f"{work.name}: speed of FFmpeg's decoding alone that a whole clip reaches"
    return ratio_row(text, seconds, "FFmpeg", "ours", at_least=0.7)


def against_pytorchvideo(work: Work, gop: int, rounds: int) -> Row:
    """The same clips by pytorchvideo's labeled dataset and its recipe, both to float."""
    text = f"{work.name}: faster than pytorchvideo's labeled dataset, to a float clip"
    try:
        _, transforms = import_pytorchvideo()
    except ImportError as error:
        return Row.skipped(text, f"pytorchvideo does not import ({error})")
    steps = [
        transforms.UniformTemporalSubsample(NUM_FRAMES),
        transforms.Div255(),
        transforms.Normalize((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
        transforms.RandomShortSideScale(256, 320),
        torch_crop(CROP_PIXELS),
    ]
    # Half a frame early, so that rounding does not lose the first frame.
    starts = [(clip[0] - 0.5) / FRAMES_PER_SECOND for clip in work.clips]
    span = SPAN / FRAMES_PER_SECOND

    def load(steps: Sequence[Callable[[torch.Tensor], torch.Tensor]]) -> list[torch.Tensor]:
        clips = []
        coming = pytorchvideo_dataset(work.path, starts, span_seconds=span)
        for _ in starts:
            clip = next(coming)["video"]  # float32 (3, SPAN, H, W)
            for step in steps:
                clip = step(clip)
            clips.append(clip)
        return clips

    for clip, theirs in zip(work.clips, load(steps[:1]), strict=True):
        assert_same_frames(work.read(work.path, clip), theirs.permute(1, 2, 3, 0).numpy())
    sides = {"ours": work.load_normalised, "pytorchvideo": lambda: load(steps)}
    seconds = interleaved(sides, rounds=rounds)
    at_least = AT_LEAST_PYTORCHVIDEO[gop]
    return ratio_row(text, seconds, "pytorchvideo", "ours", at_least=at_least)


def torch_crop(pixels: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """The recipe's random crop and flip, torchvision's both."""
    from torchvision.transforms import Compose, RandomCrop, RandomHorizontalFlip

    crop: Callable[[torch.Tensor], torch.Tensor] = Compose(
        [RandomCrop(pixels), RandomHorizontalFlip(0.5)]
    )
    return crop


def against_bare_loops(work: Work, rounds: int) -> Iterator[Row]:
    """The same frames at full size, each opened anew, by each library alone."""
    sides: dict[str, Callable[[Path, np.ndarray], np.ndarray]] = {
        "decord": read_with_decord,
        "torchcodec": read_with_torchcodec,
        "PyAV": lambda path, clip: read_with_pyav(path, clip, work.index.timestamps),
    }
    for name, read in sides.items():
        text = f"{work.name}: faster than a bare {name} loop, frames at full size"
        try:
            for clip in work.clips:
                assert_same_frames(work.read(work.path, clip), read(work.path, clip))
        except (ImportError, RuntimeError) as error:  # a library that does not load is the latter
            yield Row.skipped(text, f"{name} does not import ({error})")
            continue

        def load(read: Callable[[Path, np.ndarray], np.ndarray]) -> None:
            for clip in work.clips:
                read(work.path, clip)

        seconds = interleaved(
            {"ours": lambda: load(work.read), name: lambda read=read: load(read)}, rounds=rounds
        )
        yield ratio_row(text, seconds, name, "ours", at_least=1.0 if name == "decord" else None)


def assert_same_frames(a: np.ndarray, b: np.ndarray) -> None:
    """Fail where two clips, (T, H, W, 3) in 0 to 255, show other frames."""
    assert a.shape == b.shape, f"{a.shape} is not {b.shape}"
    differences = np.abs(a.astype(np.float32) - b.astype(np.float32)).mean(axis=(1, 2, 3))
    assert differences.max() < MAX_DIFFERENCE, f"frames differ by {differences} of 255"


if __name__ == "__main__":
    report(measure)
