"""Our side of the comparisons: the same classes, with the same settings, as in a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from videoclf.build import build
from videoclf.cli.composing import compose_train
from videoclf.config import plain
from videoclf.data.dataset import VideoDataset
from videoclf.data.manifest import Manifest
from videoclf.evaluation.views import Views
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.pyav import PyavReader
from videoclf.samplers import Sampler
from videoclf.transforms.clip import ClipTransform


def transform(name: str, *, resize_pixels: int, crop_pixels: int) -> ClipTransform:
    """Build `transform=<name>` at another size, as train.py does."""
    sizes = [f"transform.resize_pixels={resize_pixels}", f"transform.crop_pixels={crop_pixels}"]
    config = compose_train([f"transform={name}", *sizes, "data.directional=false"])
    built: ClipTransform = build(plain(config.transform), name="transform")
    return built


def dataset(
    paths: Sequence[Path],
    sampler: Sampler,
    clip_transform: ClipTransform,
    *,
    clips_per_video: int = 1,
    views: Views | None = None,
) -> VideoDataset:
    """Return a data set over videos of one folder, read by the reader of reference.

    Packet indexes come from the cache, as from the second epoch on.
    """
    for path in paths:
        PyavReader(str(path)).close()
    manifest = Manifest.from_columns(
        class_names=["one"],
        paths=[path.name for path in paths],
        labels=[[0]] * len(paths),
        subsets=["train"] * len(paths),
    )
    return VideoDataset(
        manifest=manifest,
        folder=paths[0].parent,
        open_video=PyavReader,
        sampler=sampler,
        transform=clip_transform,
        seed=0,
        views=views,
        clips_per_video=clips_per_video,
    )


def drawn_clip(data: VideoDataset, epoch: int, index: PacketIndex) -> np.ndarray:
    """Return int64 (T,): the frames that row 0 takes in an epoch, its first clip's."""
    generator = np.random.default_rng((data.seed, epoch, 0))
    rate = float((index.num_frames - 1) / index.times()[-1])
    return data.sampler.train_clip(index.num_frames, rate, generator)


def use_one_thread() -> None:
    """Keep torch and OpenCV to the thread that they are called from."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
