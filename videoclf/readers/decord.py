"""decord, only where it is exact: right or refused by name, never silently wrong.

decord 0.6 carries FFmpeg 4.1 and seeks by its own packet list. It was found frame-exact for
H.264 and VP9 in MP4 and Matroska without edit lists and open GOPs, and off by up to 22 frames
elsewhere. The packet index, made with PyAV, decides which case a file is.
"""

from __future__ import annotations

from typing import Any

import decord
import numpy as np

from videoclf.errors import UnreadableVideoError
from videoclf.readers.indexed import IndexedReader
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.safety import Limits
from videoclf.readers.scaling import Scaler

_CONTAINERS = {"mp4", "matroska"}
_CODECS = {"h264", "vp9"}
# What decord raises; the second where opening gives it nothing at all.
_ERRORS = (decord.DECORDError, RuntimeError)
# decord pads the rows of some small widths (8, 24, 48, 72), then refuses its own buffer.
_PADDED_ROWS = "The size must exactly match"
_ADVICE = "use data.reader=pyav"


class DecordReader(IndexedReader):
    """Read frames of one video file with decord; arguments as for `IndexedReader`.

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
        super().__init__(path, index, cache=cache, limits=limits)
        super().close()  # PyAV has done its part
        if reason := inexact_reason(self.index):
            raise UnreadableVideoError(self.path, f"decord is not exact on {reason}; {_ADVICE}")
        self._video: Any = None
        self._size = (0, 0)

    def close(self) -> None:
        """Release the file and the decoder; may be called twice."""
        # An idle decord reader decodes ahead, up to hundreds of megabytes.
        self._video = None

    def _decode(self, distinct: np.ndarray, height: int, width: int) -> np.ndarray:
        if self._video is None or self._size != (height, width):
            self._open(height, width)
        try:
            clip: np.ndarray = self._video.get_batch(distinct).asnumpy()  # (N, H, W, 3)
        except _ERRORS as error:
            if _PADDED_ROWS not in str(error):
                raise UnreadableVideoError(self.path, "its data are damaged") from error
            native = (self.height, self.width)
            if (height, width) != native:
                return Scaler().clip(self._decode(distinct, *native), height, width)
            narrow = f"decord cannot give frames of {width} pixels width"
            raise UnreadableVideoError(self.path, f"{narrow}; {_ADVICE}") from error
        return clip

    def _open(self, height: int, width: int) -> None:
        """Open the file at a size: decord scales inside its own filter graph."""
        try:
            video = decord.VideoReader(
                self.path, ctx=decord.cpu(0), width=width, height=height, num_threads=1
            )
        except _ERRORS as error:
            raise UnreadableVideoError(self.path, "decord cannot open it") from error
        if len(video) != self.num_frames:
            counts = f"decord counts {len(video)} of {self.num_frames} frames"
            raise UnreadableVideoError(self.path, f"{counts}; {_ADVICE}")
        self._video, self._size = video, (height, width)


def inexact_reason(index: PacketIndex) -> str | None:
    """Say on what decord would give other frames than asked for; None where it is exact."""
    if index.container not in _CONTAINERS:
        return f"the container {index.container}"
    if index.codec not in _CODECS:
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
