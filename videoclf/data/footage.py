"""What is opened of one record: its video, its stored flow, or both; frames of each modality.

All modalities are counted in the video's frames, so that clips of one sample cover the same time.
Flow of frame i is the displacement from frame i to i + 1; the last frame, which has none, takes
that of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional as F

from videoclf.data.flow_source import FlowSource
from videoclf.errors import UnreadableVideoError
from videoclf.flow import FlowEstimator, estimator_class
from videoclf.flow.quantisation import Quantisation
from videoclf.flow.stored import StoredFlow
from videoclf.readers import Reader
from videoclf.readers.geometry import scaled_size


class Footage(Protocol):
    """One opened record.

    Attributes:
        num_frames: of the video.
        fps: average frames per second.
        times: float64 (num_frames,), seconds of each frame from the first frame's.
    """

    num_frames: int
    fps: float
    times: np.ndarray

    def frames(self, indices: np.ndarray, *, short_side: int | None) -> dict[str, np.ndarray]:
        """Decode every modality at some of the video's frames.

        Args:
            indices: int64 (N,), ascending and distinct.
            short_side: pixels that the smaller of height and width is scaled to.

        Returns:
            uint8 (N, H, W, C) by modality, all of one size; C is 3 for rgb, 2 for flow.

        Raises:
            UnreadableVideoError: a file is damaged.
        """
        ...


class Frames:
    """The video alone; see `Footage`.

    Args:
        reader: of the video.
    """

    def __init__(self, reader: Reader) -> None:
        self.num_frames, self.fps, self.times = reader.num_frames, reader.fps, reader.times
        self._reader = reader

    def frames(self, indices: np.ndarray, *, short_side: int | None) -> dict[str, np.ndarray]:
        """Decode frames."""
        return {"rgb": self._reader.frames(indices, short_side=short_side)}


class FramesWithFlow:
    """The video, and flow that is stored or estimated from it; see `Footage`.

    Args:
        path: of the video, for errors.
        reader: of the video.
        stored: its stored flow; None estimates it from the frames, at their size.
        estimate: of the method, where nothing is stored.
        quantisation: of the estimate.
    """

    def __init__(
        self,
        path: str,
        reader: Reader,
        *,
        stored: StoredFlow | None,
        estimate: FlowEstimator,
        quantisation: Quantisation,
    ) -> None:
        self.num_frames, self.fps, self.times = reader.num_frames, reader.fps, reader.times
        if stored is not None and stored.num_frames != self.num_frames - 1:
            raise UnreadableVideoError(
                path,
                f"has {self.num_frames} frames and its stored flow {stored.num_frames} fields, not "
                f"one fewer ({stored.path}); write the flow anew",
            )
        if self.num_frames < 2:
            raise UnreadableVideoError(path, "has one frame; flow needs two")
        self._reader, self._stored = reader, stored
        self._estimate, self._quantisation = estimate, quantisation

    def frames(self, indices: np.ndarray, *, short_side: int | None) -> dict[str, np.ndarray]:
        """Decode frames, and their flow."""
        firsts = np.minimum(indices, self.num_frames - 2)
        if self._stored is not None:
            rgb = self._reader.frames(indices, short_side=short_side)
            return {"rgb": rgb, "flow": scaled(self._stored.codes(firsts), rgb.shape[1:3])}
        wanted = np.union1d(indices, np.concatenate([firsts, firsts + 1]))
        decoded = self._reader.frames(wanted, short_side=short_side)  # (M, H, W, 3)
        rgb = decoded[np.searchsorted(wanted, indices)]
        return {"rgb": rgb, "flow": self.estimated(decoded, wanted, firsts)}

    def estimated(self, decoded: np.ndarray, wanted: np.ndarray, firsts: np.ndarray) -> np.ndarray:
        """Estimate flow from decoded frames.

        Args:
            decoded: uint8 (M, H, W, 3).
            wanted: int64 (M,), their numbers, ascending.
            firsts: int64 (N,), frames whose flow to the next one is asked for, both among them.

        Returns:
            uint8 (N, H, W, 2), codes.
        """
        distinct, rows = np.unique(firsts, return_inverse=True)
        fields = np.concatenate(
            [
                self._estimate.estimate(
                    decoded[np.searchsorted(wanted, np.append(run, run[-1] + 1))]
                )
                for run in np.split(distinct, np.flatnonzero(np.diff(distinct) > 1) + 1)
            ]
        )  # (distinct, H, W, 2)
        return self._quantisation.codes(fields)[rows]


class StoredFlowAlone:
    """Stored flow without its video; see `Footage`.

    Args:
        stored: of the video.
    """

    def __init__(self, stored: StoredFlow) -> None:
        self.num_frames, self.fps = stored.num_frames + 1, stored.fps
        # the video's last frame has no field; it is shown one frame's duration later
        self.times = np.append(stored.times, stored.times[-1] + 1 / stored.fps)
        self._stored = stored

    def frames(self, indices: np.ndarray, *, short_side: int | None) -> dict[str, np.ndarray]:
        """Decode flow."""
        codes = self._stored.codes(np.minimum(indices, self.num_frames - 2))
        size = scaled_size(self._stored.height, self._stored.width, short_side)
        return {"flow": scaled(codes, size)}


def scaled(codes: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Scale the pictures of flow, uint8 (N, H, W, 2), to (height, width).

    What a displacement says stays: it is in pixels of the size that it was estimated at.
    """
    if tuple(codes.shape[1:3]) == tuple(size):
        return codes
    pictures = torch.from_numpy(codes).permute(0, 3, 1, 2)  # (N, 2, H, W), channels last
    resized = F.interpolate(pictures, size=tuple(size), mode="bilinear", antialias=True)
    return resized.permute(0, 2, 3, 1).numpy()


@contextmanager
def open_footage(
    folder: Path,
    path: str,
    *,
    modalities: Sequence[str],
    open_video: Callable[[str], Reader],
    flow: FlowSource | None,
) -> Iterator[Footage]:
    """Open what the modalities of a record need.

    Args:
        folder: the data root.
        path: of the record's video, relative to it.
        modalities: rgb, flow or both.
        open_video: a reader's class.
        flow: where flow comes from, if it is one of them.

    Raises:
        UnreadableVideoError: a file is missing or damaged, or video and flow do not fit.
    """
    with ExitStack() as opened:
        if "flow" not in modalities:
            yield Frames(opened.enter_context(open_video(str(folder / path))))
            return
        assert flow is not None
        stored = None
        if flow.folder is not None:
            stored = opened.enter_context(flow.open_stored(path))
            if "rgb" not in modalities:
                yield StoredFlowAlone(stored)
                return
        reader = opened.enter_context(open_video(str(folder / path)))
        yield FramesWithFlow(
            path,
            reader,
            stored=stored,
            estimate=estimator_class(flow.method)(),
            quantisation=Quantisation(flow.bound_pixels),
        )
