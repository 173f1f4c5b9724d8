"""The reader of reference: PyAV with a verified index, exact on every container it accepts.

A frame is reached by a seek to the keyframe at or before it and decoding forward; each decoded
frame must carry exactly the timestamp that the index lists next. On any mismatch, and always for
containers that do not seek exactly (AVI, MPEG-TS, MPEG-PS and the like), frames are decoded from
the start and counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import TracebackType

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from videoclf.errors import UnreadableVideoError
from videoclf.readers.demux import OpenedVideo, build_index, open_video, reason_of
from videoclf.readers.geometry import checked_indices, scaled_size
from videoclf.readers.packet_index import PacketIndex, load_cached, store_cached
from videoclf.readers.safety import Limits, container_kind


class _LostTrack(Exception):
    """A decoded frame is not the one that the index lists."""


class PyavReader:
    """Read exact frames of one video file; see `videoclf.readers.Reader` for the interface.

    Args:
        path: a video file.
        index: its packet index, where it is known; made from the file otherwise.
        cache: look up and keep the index in the user's cache folder.
        limits: what the file may demand; None for the defaults.

    Raises:
        UnreadableVideoError: the file is refused or damaged; the reason says how.
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
        self._limits = limits or Limits()
        self._kind = container_kind(self.path)
        self._opened: OpenedVideo | None = None
        self._decoding: Iterator[VideoFrame] | None = None
        self._next = 0  # the frame that the decoder gives next
        self._damaged = False  # a frame since the last keyframe
        self._reformatter = VideoReformatter()
        if index is None and cache:
            index = load_cached(self.path)
        if index is None:
            self._opened = open_video(self.path, self._kind, self._limits)
            try:
                index = build_index(self._opened, self._limits)
            except UnreadableVideoError:
                self.close()
                raise
            if cache:
                store_cached(self.path, index)
        self.index = index
        self._seekable = index.seekable
        # The first frame on screen that each keyframe leads to.
        self._key_frames = np.searchsorted(index.timestamps, index.key_timestamps)
        self.num_frames = index.num_frames
        self.times = index.times()
        self.fps = _average_rate(self.times, index)
        sides = (index.height, index.width)
        self.height, self.width = sides[::-1] if index.orientation.transpose else sides
        self._limits.check_size(self.path, self.height, self.width)

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
        distinct, places = np.unique(wanted, return_inverse=True)
        clip = np.empty((len(distinct), height, width, 3), np.uint8)  # (distinct, H, W, 3)
        for row, target in enumerate(distinct):
            clip[row] = self._picture(self._frame(int(target)), height, width)
        return clip if np.array_equal(wanted, distinct) else clip[places]

    def close(self) -> None:
        """Release the file and the decoder; may be called twice."""
        self._decoding = None
        if self._opened is not None:
            self._opened.container.close()
            self._opened = None

    def __enter__(self) -> PyavReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _picture(self, frame: VideoFrame, height: int, width: int) -> np.ndarray:
        """Convert a frame to RGB at the shown size, uint8 (height, width, 3)."""
        orientation = self.index.orientation
        if orientation.transpose:
            height, width = width, height
        # Bilinear in swscale widens its kernel when it shrinks: antialiased.
        shown = self._reformatter.reformat(
            frame, width, height, "rgb24", interpolation=Interpolation.BILINEAR, threads=1
        )
        return orientation.apply(shown.to_ndarray())

    def _frame(self, target: int) -> VideoFrame:
        """Return frame `target`, by a seek where that is verified, else counted from the start."""
        try:
            if self._seekable:
                try:
                    return self._frame_by_seek(target)
                except _LostTrack:
                    self._seekable = False
                    self._decoding = None
            return self._frame_by_count(target)
        except FFmpegError as error:
            self._decoding = None
            reason = f"is damaged at frame {self._next} of {self.num_frames} ({reason_of(error)})"
            raise UnreadableVideoError(self.path, reason) from error
        except _LostTrack as error:
            self._decoding = None
            raise UnreadableVideoError(self.path, str(error)) from error

    def _frame_by_count(self, target: int) -> VideoFrame:
        if self._decoding is None or target < self._next:
            self.close()
            self._opened = open_video(self.path, self._kind, self._limits)
            self._decoding = self._opened.frames()
            self._next = 0
        return self._forward(target)

    def _frame_by_seek(self, target: int) -> VideoFrame:
        key = int(np.searchsorted(self._key_frames, target, side="right")) - 1
        if self._decoding is not None and self._key_frames[max(key, 0)] <= self._next <= target:
            return self._forward(target)
        if key < 0:
            raise _LostTrack(f"no keyframe leads to frame {target}")
        self._decoding = self._seek(key)
        return self._forward(target)

    def _seek(self, key: int) -> Iterator[VideoFrame]:
        """Stand before the frame that keyframe number `key` leads to."""
        if self._opened is None:
            self._opened = open_video(self.path, self._kind, self._limits)
        index, opened = self.index, self._opened
        # MP4 seeks by decoding time, Matroska by presentation time; either may land one keyframe
        # late where frames are reordered, so the keyframe before is tried too.
        by_decoding_time = index.container == "mp4"
        ticks = index.key_decode_timestamps if by_decoding_time else index.key_timestamps
        for attempt in range(key, max(key - 2, -1), -1):
            first = int(self._key_frames[attempt])
            opened.container.seek(int(ticks[attempt]), stream=opened.stream)
            decoding = opened.frames()
            for frame in decoding:
                if frame.pts is None or frame.pts > index.timestamps[first]:
                    break
                # What precedes the keyframe on screen (open GOP) may refer to frames before it.
                if frame.pts == index.timestamps[first]:
                    self._next = first
                    return itertools.chain([frame], decoding)
        raise _LostTrack(f"no keyframe leads to frame {self._key_frames[key]}")

    def _forward(self, target: int) -> VideoFrame:
        """Decode from where the decoder stands up to `target`, checking each frame."""
        assert self._decoding is not None
        for frame in self._decoding:
            expected = int(self.index.timestamps[self._next])
            if self.index.verifiable and frame.pts != expected:
                raise _LostTrack(f"frame {self._next} of {self.num_frames} is missing")
            if frame.key_frame:
                self._damaged = False
            # The decoder hides what it could not read; later frames copy from it.
            self._damaged |= frame.is_corrupt
            self._next += 1
            if self._next > target:
                if self._damaged:
                    raise UnreadableVideoError(self.path, f"frame {target} is damaged")
                return frame
        raise _LostTrack(f"ends after frame {self._next} of {self.num_frames}")


def _average_rate(times: np.ndarray, index: PacketIndex) -> float:
    if len(times) > 1:
        return float((len(times) - 1) / times[-1])
    return index.rate
