"""decord, only where it is exact: right or refused by name, never silently wrong.

decord 0.6 carries FFmpeg 4.1 and seeks by its own packet list. It was found frame-exact for
H.264, VP9 and the like in MP4 and Matroska without edit lists and open GOPs, and wrong by up to
22 frames elsewhere. The packet index of PyAV decides which case a file is.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import decord
import numpy as np

from videoclf.errors import UnreadableVideoError
from videoclf.readers.geometry import checked_indices, scaled_size
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.pyav import PyavReader
from videoclf.readers.safety import Limits

_EXACT_CONTAINERS = {"mp4", "matroska"}
_EXACT_CODECS = {"h264", "vp9"}
_ADVICE = "use data.reader=pyav"


class DecordReader:
    """Read frames of one video file with decord; see `videoclf.readers.Reader`.

    Args:
        path: a video file.
        index: its packet index, where it is known; made from the file otherwise.
        cache: look up and keep the index in the user's cache folder.
        limits: what the file may demand; None for the defaults.

    Raises:
        UnreadableVideoError: decord is not exact on this file, or the file is damaged.
    """

    def __init__(
        self,
        path: str,
        index: PacketIndex | None = None,
        *,
        cache: bool = True,
        limits: Limits | None = None,
    ) -> None:
        self.path = str(path)
        with PyavReader(self.path, index, cache=cache, limits=limits) as checked:
            self.index = checked.index
            self.num_frames = checked.num_frames
            self.fps = checked.fps
            self.times = checked.times
            self.height, self.width = checked.height, checked.width
        if reason := inexact_reason(self.index):
            raise UnreadableVideoError(self.path, f"decord is not exact on {reason}; {_ADVICE}")
        self._video: Any = None
        self._size: tuple[int, int] | None = None
        self._open(None)

    def frames(self, indices: np.ndarray, *, short_side: int | None = None) -> np.ndarray:
        """Decode frames in one pass, each distinct one once; see `Reader.frames`.

        Args:
            indices: int64 (N,), in any order, repeats allowed.
            short_side: pixels that the smaller side is scaled to, antialiased; None keeps it.

        Returns:
            uint8 (N, H, W, 3), RGB.

        Raises:
            IndexError: an index outside [0, num_frames).
            UnreadableVideoError: the file ends early or its data are damaged.
        """
        wanted = checked_indices(indices, self.num_frames)
        height, width = scaled_size(self.height, self.width, short_side)
        if len(wanted) == 0:
            return np.empty((0, height, width, 3), np.uint8)
        if self._video is None or self._size != (height, width):
            self._open((height, width))
        distinct, places = np.unique(wanted, return_inverse=True)
        try:
            clip: np.ndarray = self._video.get_batch(distinct).asnumpy()  # (distinct, H, W, 3)
        except decord.DECORDError as error:
            raise UnreadableVideoError(self.path, "its data are damaged") from error
        return clip if np.array_equal(wanted, distinct) else clip[places]

    def close(self) -> None:
        """Release the file and the decoder; may be called twice."""
        self._video = None

    def __enter__(self) -> DecordReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, size: tuple[int, int] | None) -> None:
        height, width = size or (self.height, self.width)
        try:
            video = decord.VideoReader(
                self.path, ctx=decord.cpu(0), width=width, height=height, num_threads=1
            )
        except decord.DECORDError as error:
            raise UnreadableVideoError(self.path, "decord cannot open it") from error
        if len(video) != self.num_frames:
            counts = f"decord counts {len(video)} of {self.num_frames} frames"
            raise UnreadableVideoError(self.path, f"{counts}; {_ADVICE}")
        self._video, self._size = video, (height, width)


def inexact_reason(index: PacketIndex) -> str | None:
    """Say why decord would give other frames than asked for; None where it is exact."""
    if index.container not in _EXACT_CONTAINERS:
        return f"the container {index.container}"
    if index.codec not in _EXACT_CODECS:
        return f"the codec {index.codec}"
    if index.edited:
        return "an edit list"
    if index.leading_frames:
        return "an open GOP"
    if index.num_video_streams > 1:
        return f"{index.num_video_streams} video streams"
    if not index.seekable or index.decoded:
        return "irregular timestamps"
    return None
