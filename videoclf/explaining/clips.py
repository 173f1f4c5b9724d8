"""Clips of one video, as an evaluation cuts them, with what is shown of them beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from videoclf.data.datamodule import VideoDataModule
from videoclf.data.dataset import VideoDataset, collate
from videoclf.data.footage import open_footage
from videoclf.data.manifest import Manifest
from videoclf.errors import UnreadableVideoError
from videoclf.evaluation.views import Views
from videoclf.flow.colours import flow_colours
from videoclf.flow.quantisation import Quantisation
from videoclf.types import Unreadable


@dataclass(frozen=True)
class Clips:
    """N clips of a video.

    Attributes:
        inputs: what the model sees, float32 (N, C, T, H, W), by modality.
        pictures: the same crops to look at, uint8 (N, T, H, W, 3); flow in colours.
        seconds: of each frame from the video's first, float64 (N, T).
    """

    inputs: Mapping[str, torch.Tensor]
    pictures: np.ndarray
    seconds: np.ndarray


def read_clips(path: Path, datamodule: VideoDataModule, num_clips: int) -> Clips:
    """Read the middle crop of clips, placed as in an evaluation.

    Args:
        path: of the video.
        datamodule: with the sampler, transform and reader to use; its own videos are not touched.
        num_clips: N.

    Raises:
        UnreadableVideoError: the video is missing or damaged.
    """
    if not path.is_file() and not path.is_dir():
        raise UnreadableVideoError(str(path), "it does not exist")
    views = Views(num_clips=num_clips, num_crops=1, average="probabilities")
    dataset = VideoDataset(
        manifest=Manifest.from_columns(
            class_names=["unknown"], paths=[path.name], labels=[[0]], subsets=["test"]
        ),
        folder=path.parent,
        open_video=datamodule.open_video,
        sampler=datamodule.sampler,
        transform=datamodule.transform,
        seed=0,
        views=views,
        modalities=datamodule.modalities,
        flow=datamodule.flow,
    )
    sample = dataset[0, 0]
    if isinstance(sample, Unreadable):
        raise UnreadableVideoError(str(path), sample.reason)
    batch = collate([sample])
    with open_footage(
        path.parent,
        path.name,
        modalities=datamodule.modalities,
        open_video=datamodule.open_video,
        flow=datamodule.flow,
    ) as footage:
        indices = datamodule.sampler.eval_clips(footage.num_frames, footage.fps, num_clips)
        seconds = footage.times[indices] - footage.times[0]  # (N, T)
    return Clips(
        inputs=datamodule.transform.on_device(batch, seed=0, train=False).inputs,
        pictures=_pictures(sample.clips, datamodule),
        seconds=seconds,
    )


def _pictures(clips: Mapping[str, np.ndarray], datamodule: VideoDataModule) -> np.ndarray:
    if "rgb" in clips:
        return clips["rgb"]
    assert datamodule.flow is not None
    fields = Quantisation(datamodule.flow.bound_pixels).fields(clips["flow"])  # (N, T, H, W, 2)
    speeds = np.linalg.norm(fields, axis=-1)
    return flow_colours(fields, max(0.5, float(np.quantile(speeds, 0.99))))
