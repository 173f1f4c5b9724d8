"""torchcodec in its exact mode, only where that is exact: right or refused by name.

It was found frame-exact in MP4, Matroska and ASF without edit lists and open GOPs, and off by a
frame or failing elsewhere. The packet index, made with PyAV, decides which case a file is, and
each decoded frame must carry the timestamp that the index lists.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import interpolate
from torchcodec.decoders import VideoDecoder  # type: ignore[attr-defined,unused-ignore]

from videoclf.errors import UnreadableVideoError
from videoclf.readers.indexed import IndexedReader
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.safety import Limits

_CONTAINERS = {"mp4", "matroska", "asf"}
_CODECS = {"h264", "hevc", "vp9", "av1", "wmv2"}
_ADVICE = "use data.reader=pyav"


class TorchcodecReader(IndexedReader):
    """Read frames of one video file with torchcodec; arguments as for `IndexedReader`.

    Raises:
        UnreadableVideoError: torchcodec is not exact on this file, or the file is damaged.
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
            reason = f"torchcodec is not exact on {reason}; {_ADVICE}"
            raise UnreadableVideoError(self.path, reason)
        self._decoder: VideoDecoder | None = None

    def close(self) -> None:
        """Release the file and the decoder; may be called twice."""
        self._decoder = None

    def _decode(self, distinct: np.ndarray, height: int, width: int) -> np.ndarray:
        try:
            if self._decoder is None:
                self._decoder = self._open()
            batch = self._decoder.get_frames_at(distinct.tolist())
        except (RuntimeError, ValueError, IndexError) as error:
            raise UnreadableVideoError(
                self.path, f"its data are damaged ({_first_line(error)})"
            ) from error
        seconds = float(Fraction(*self.index.time_base))
        expected = self.index.timestamps[distinct] * seconds
        off = np.abs(batch.pts_seconds.numpy() - expected) > seconds / 2
        if np.any(off):
            lost = f"torchcodec gives another frame for frame {int(distinct[np.argmax(off)])}"
            raise UnreadableVideoError(self.path, f"{lost}; {_ADVICE}")
        clip = batch.data  # (N, H, W, 3)
        if clip.shape[1:3] != (height, width):
            pictures = clip.permute(0, 3, 1, 2)  # (N, 3, H, W)
            scaled = interpolate(pictures, (height, width), mode="bilinear", antialias=True)
            clip = scaled.permute(0, 2, 3, 1)  # (N, height, width, 3)
        return np.ascontiguousarray(clip.numpy())

    def _open(self) -> VideoDecoder:
        decoder = VideoDecoder(
            Path(self.path),
            stream_index=self.index.stream,
            dimension_order="NHWC",
            num_ffmpeg_threads=1,
            device=torch.device("cpu"),
            seek_mode="exact",
        )
        if len(decoder) != self.num_frames:
            counts = f"torchcodec counts {len(decoder)} of {self.num_frames} frames"
            raise UnreadableVideoError(self.path, f"{counts}; {_ADVICE}")
        return decoder


def inexact_reason(index: PacketIndex) -> str | None:
    """Say on what torchcodec would give other frames than asked for; None where it is exact."""
    if index.container not in _CONTAINERS:
        return f"the container {index.container}"
    if index.codec not in _CODECS:
        return f"the codec {index.codec}"
    if index.edited:
        return "an edit list"
    if index.leading_frames:
        return "an open GOP"
    if not index.verifiable:
        return "irregular timestamps"
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:120]
