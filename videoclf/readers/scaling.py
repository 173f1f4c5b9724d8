"""Decoded pictures to RGB arrays of the wanted size, in one pass of FFmpeg's scaler."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

# One thread a reader: the loader's workers share the cores. PyAV before 17 (the last for Python
# 3.10 is 16) has no other way, and looks at a frame's colour space only if told another one.
_HOW: dict[str, Any] = (
    {"threads": 1}
    if int(av.__version__.split(".")[0]) >= 17
    else {"dst_colorspace": Colorspace.DEFAULT}
)


class Scaler:
    """Convert frames to RGB, honouring their colour space and range as FFmpeg does by default.

    It keeps its tables from one frame to the next of the same size.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def rgb(self, frame: VideoFrame, height: int, width: int) -> np.ndarray:
        """Return a frame as uint8 (height, width, 3), a view of FFmpeg's own buffer."""
        # Bilinear in swscale widens its kernel where it shrinks, so it does not alias.
        scaled = self._reformatter.reformat(
            frame, width, height, "rgb24", interpolation=Interpolation.BILINEAR, **_HOW
        )
        plane: Any = scaled.planes[0]  # a buffer, which PyAV's stubs do not say
        rows: np.ndarray = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)
        return rows[:, : 3 * width].reshape(height, width, 3)  # the ends of rows are padding

    def clip(self, pictures: np.ndarray, height: int, width: int) -> np.ndarray:
        """Scale RGB pictures, uint8 (N, H, W, 3) -> (N, height, width, 3)."""
        scaled = np.empty((len(pictures), height, width, 3), np.uint8)
        for row, picture in enumerate(pictures):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            scaled[row] = self.rgb(frame, height, width)
        return scaled
