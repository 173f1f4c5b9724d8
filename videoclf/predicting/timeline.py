"""What a network says along a long video: a window slides over it, each scored as a video would be.

A window is read exactly as an evaluation reads a record with its start and end: the sampler places
its clips inside it, the crops are those of the views.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from videoclf.data.footage import Footage, open_footage
from videoclf.predicting.frame_ring import FrameRing
from videoclf.predicting.predictor import Predictor
from videoclf.predicting.windows import Windows, place_windows, shown_frames
from videoclf.readers.forward import ForwardReader
from videoclf.samplers.dense import DenseSampler
from videoclf.types import Batch

#: Seconds of a window, for samplers whose clips have no length of their own.
WINDOW_SECONDS = 4.0


@dataclass(frozen=True, eq=False)
class ScoredWindow:
    """One window.

    Attributes:
        number: m, its place in the order of time.
        probabilities: float32 (K,).
    """

    number: int
    probabilities: np.ndarray


@dataclass(frozen=True, eq=False)
class Timeline:
    """Windows over a video, and what is said of them, one after the other.

    Attributes:
        windows: where they lie.
        scored: each window once, in the order of time; to be gone through once.
    """

    windows: Windows
    scored: Iterator[ScoredWindow]


def slide(
    predictor: Predictor,
    path: Path,
    *,
    window_seconds: float | None = None,
    stride_seconds: float | None = None,
) -> Timeline:
    """Lay windows over a video; the scores are computed while they are gone through.

    Args:
        predictor: the network, with its sampler, crops and views.
        path: of the video.
        window_seconds: None takes the length of one clip of the sampler.
        stride_seconds: from one window to the next; None takes half a window.

    Raises:
        ValueError: a window or stride that is not above 0.
        UnreadableVideoError: the file is missing or damaged.
    """
    with _opened(predictor, path) as footage:
        times, fps = footage.times, footage.fps
    if window_seconds is None:
        window_seconds = clip_seconds(predictor.reading.sampler, fps)
    windows = place_windows(
        float(times[-1]) + 1 / fps,
        window_seconds=window_seconds,
        stride_seconds=window_seconds / 2 if stride_seconds is None else stride_seconds,
    )
    return Timeline(windows, _scored(predictor, path, windows))


def clip_seconds(sampler: object, fps: float) -> float:
    """Return the time that one clip of a sampler covers in a video of a frame rate."""
    if not isinstance(sampler, DenseSampler):
        return WINDOW_SECONDS
    if sampler.fps is not None:
        return sampler.num_frames / sampler.fps
    assert sampler.stride is not None
    return sampler.num_frames * sampler.stride / fps


def _opened(predictor: Predictor, path: Path) -> AbstractContextManager[Footage]:
    reading = predictor.reading
    by_frames = predictor.settings["data"]["reader"] == "frames"
    return open_footage(
        path.parent,
        path.name,
        modalities=reading.modalities,
        open_video=reading.open_video if by_frames else ForwardReader,
        flow=reading.flow,
    )


def _scored(predictor: Predictor, path: Path, windows: Windows) -> Iterator[ScoredWindow]:
    at_once = max(1, predictor.reading.batch_size // predictor.views.num_views)
    with _opened(predictor, path) as footage:
        ring = FrameRing(
            footage,
            transform=predictor.reading.transform,
            views=predictor.views,
            windows=_indices(predictor, footage, windows),
        )
        page: list[dict[str, np.ndarray]] = []
        done = 0
        for views in ring:
            page.append(views)
            if len(page) == at_once or done + len(page) == len(windows):
                for place, found in enumerate(predictor.score(_batch(page))):
                    yield ScoredWindow(done + place, found)
                done += len(page)
                page = []


def _indices(predictor: Predictor, footage: Footage, windows: Windows) -> Iterator[np.ndarray]:
    """Yield the frames of each window, int64 (clips, T)."""
    for start, end in zip(windows.starts, windows.ends, strict=True):
        first, last = shown_frames(footage.times, float(start), float(end))
        sampler, views = predictor.reading.sampler, predictor.views
        yield first + sampler.eval_clips(
            last - first, footage.fps, views.num_clips, views.positions
        )


def _batch(page: list[dict[str, np.ndarray]]) -> Batch:
    """Stack the views of some windows: uint8 (B, V, T, H, W, C) by modality."""
    inputs = {name: torch.from_numpy(np.stack([each[name] for each in page])) for name in page[0]}
    count = len(page)
    return Batch(
        inputs=inputs,
        labels=torch.full((count, 1), -1),
        epochs=torch.zeros(count, dtype=torch.int64),
        indices=torch.arange(count),
        num_views=next(iter(inputs.values())).shape[1],
    )
