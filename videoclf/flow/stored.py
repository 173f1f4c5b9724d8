"""Stored flow: an MP4 of exact 8-bit pictures, red the codes of x, green those of y.

H.264 in RGB without loss, every frame a keyframe: any clip is reached at once, and the readers of
videos read it as they read others. Field t is shown when frame t of its video is, so that clips
of both cover the same time; a video of T frames has T-1 fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoclf.errors import UnreadableVideoError
from videoclf.flow.header import TAG, FlowHeader
from videoclf.flow.quantisation import Quantisation
from videoclf.readers.demux import open_video
from videoclf.readers.pyav import PyavReader
from videoclf.readers.safety import Limits, container_kind

if TYPE_CHECKING:
    from typing_extensions import Self

#: Without arithmetic coding (`fastdecode`) a fifth larger, and read up to twice as fast. Nothing
#: predicts one frame from another, so nothing is gained by looking at several.
_OPTIONS = {
    "preset": "veryfast",
    "tune": "fastdecode",
    "qp": "0",
    "x264-params": "keyint=1:bframes=0:rc-lookahead=0:sync-lookahead=0:aq-mode=0:threads=1",
}
_MIDDLE = 128  # of the blue plane, which holds nothing


class StoredFlow:
    """One opened file of stored flow. Fields are counted from 0, in the order of time.

    Args:
        path: a file that `videoclf flow` has written.
        cache: keep the index of its packets in the user's cache folder.

    Attributes:
        header: how the flow was made.
        quantisation: codes to pixels.
        num_frames: how many fields there are, one fewer than frames of the video.
        times: float64 (num_frames,), seconds of each field: those of the video's frames.
        fps: average fields per second.
        height: pixels; displacements are in pixels of this size.
        width: pixels.

    Raises:
        UnreadableVideoError: the file is missing, damaged, or holds no flow.
    """

    def __init__(self, path: str, *, cache: bool = True) -> None:
        self.path = str(path)
        self.header = read_header(self.path)
        self.quantisation = Quantisation(self.header.bound_pixels)
        self._reader = PyavReader(self.path, cache=cache)
        self.num_frames = self._reader.num_frames
        self.times = self._reader.times
        self.fps = self._reader.fps
        self.height, self.width = self._reader.height, self._reader.width
        if self.num_frames != self.header.source_frames - 1:
            self.close()
            raise UnreadableVideoError(
                self.path,
                f"holds {self.num_frames} fields of a video of {self.header.source_frames} "
                "frames; write it anew",
            )

    def codes(self, indices: np.ndarray) -> np.ndarray:
        """Decode fields as they are stored.

        Args:
            indices: int64 (N,), in any order, repeats allowed.

        Returns:
            uint8 (N, H, W, 2): x and y.

        Raises:
            IndexError: an index outside [0, num_frames).
            UnreadableVideoError: the file is damaged.
        """
        return self._reader.frames(indices)[..., :2]

    def fields(self, indices: np.ndarray) -> np.ndarray:
        """Decode fields to pixels; arguments and errors as for `codes`.

        Returns:
            float32 (N, H, W, 2): x to the right and y downwards, within half a step of what was
            estimated, or at the bound where that lay beyond it.
        """
        return self.quantisation.fields(self.codes(indices))

    def close(self) -> None:
        """Release the file; may be called twice."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_header(path: str) -> FlowHeader:
    """Return what a file of stored flow says of itself.

    Raises:
        UnreadableVideoError: the file is missing, damaged, or holds no flow.
    """
    opened = open_video(path, container_kind(path), Limits())
    with opened.container as container:
        text = container.metadata.get(TAG, "")
    try:
        return FlowHeader.from_text(text)
    except ValueError as error:
        raise UnreadableVideoError(path, str(error)) from error


def write_codes(
    path: Path,
    codes: Iterable[np.ndarray],
    header: FlowHeader,
    *,
    size: tuple[int, int],
    ticks: list[int],
    clock: Fraction,
    rate: Fraction,
) -> None:
    """Encode fields to a file, one by one.

    Args:
        path: the file, written in place.
        codes: uint8 (H, W, 2) each; as many as `ticks`.
        header: goes into the metadata.
        size: (height, width) in pixels.
        ticks: when each field is shown, from the first.
        clock: seconds of a tick.
        rate: fields a second, for the header of the stream.

    Raises:
        OSError: the file cannot be written.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        container.metadata[TAG] = header.to_text()
        stream = container.add_stream(
            "libx264rgb",
            rate=rate,
            options=_OPTIONS,
        )
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt = "rgb24"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = clock
        picture = np.full((*size, 3), _MIDDLE, np.uint8)  # (H, W, 3)
        for tick, field in zip(ticks, codes, strict=True):
            picture[..., :2] = field
            frame = VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = tick, clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
