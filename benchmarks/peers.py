"""How others read the same frames; each raises ImportError where its package is not there."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch


def decode_alone(path: Path, keyframe: int, last: int, ticks: Sequence[int]) -> int:
    """Let FFmpeg decode frames `keyframe` to `last`, one thread, and convert none of them.

    Opened as bare PyAV opens a file; `ticks` are the presentation timestamps of all frames.

    Returns:
        How many frames were decoded.
    """
    num_decoded = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        container.seek(int(ticks[keyframe]), stream=stream)
        for frame in container.decode(stream):
            num_decoded += 1
            if frame.pts >= ticks[last]:
                break
    return num_decoded


def read_with_pyav(path: Path, indices: np.ndarray, ticks: Sequence[int]) -> np.ndarray:
    """Seek, decode and convert the wanted frames with bare PyAV, uint8 (N, H, W, 3)."""
    wanted = {int(ticks[index]) for index in indices}
    found = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        container.seek(min(wanted), stream=stream)
        for frame in container.decode(stream):
            if frame.pts in wanted:
                found[frame.pts] = frame.to_ndarray(format="rgb24")
            if frame.pts >= max(wanted):
                break
    return np.stack([found[int(ticks[index])] for index in indices])


def read_with_decord(path: Path, indices: np.ndarray) -> np.ndarray:
    """Open and read with decord, one thread, uint8 (N, H, W, 3)."""
    decord = importlib.import_module("decord")
    video = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
    frames: np.ndarray = video.get_batch(indices).asnumpy()
    return frames


def read_with_torchcodec(path: Path, indices: np.ndarray) -> np.ndarray:
    """Open and read with torchcodec in its exact mode, one thread, uint8 (N, H, W, 3)."""
    decoders = importlib.import_module("torchcodec.decoders")
    decoder = decoders.VideoDecoder(
        path, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
    )
    frames: np.ndarray = decoder.get_frames_at(indices.tolist()).data.numpy()
    return frames


def import_pytorchvideo() -> tuple[Any, Any]:
    """Return pytorchvideo's `data` and `transforms`.

    Its transforms ask for a module that torchvision has renamed to a private one; the old name is
    given to it here, which is all that it takes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        renamed = importlib.import_module("torchvision.transforms._functional_tensor")
        sys.modules.setdefault("torchvision.transforms.functional_tensor", renamed)
        data = importlib.import_module("pytorchvideo.data")
        return data, importlib.import_module("pytorchvideo.transforms")


def pytorchvideo_dataset(path: Path, starts: Iterable[float], *, span_seconds: float) -> Any:
    """Return an iterator: pytorchvideo's labeled dataset over one file, a clip from each start.

    The file is opened anew for every clip, as in its training.
    """
    data, _ = import_pytorchvideo()
    sampling = importlib.import_module("pytorchvideo.data.clip_sampling")
    coming = iter(starts)

    class Listed(sampling.ClipSampler):  # type: ignore[misc, name-defined]
        def __call__(self, last: Any, duration: Any, annotation: Any) -> Any:  # noqa: ARG002
            start = next(coming)
            return sampling.ClipInfo(start, start + self._clip_duration, 0, 0, True)

    return data.LabeledVideoDataset(
        [(str(path), {"label": 0})] * 1000,
        Listed(span_seconds),
        torch.utils.data.SequentialSampler,
        decode_audio=False,
    )
