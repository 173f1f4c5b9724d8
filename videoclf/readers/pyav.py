"""The reader of reference: PyAV with a verified index, exact on every container it accepts.

A frame is reached by a seek to the keyframe at or before it and decoding forward; each decoded
frame must carry exactly the timestamp that the index lists next. On any mismatch, and always for
containers that do not seek exactly (AVI, MPEG-TS, MPEG-PS and the like), frames are decoded from
the start and counted.

A decoder holds frames back for reordering. Where a seek comes next, it is emptied as soon as it
has the packets of the wanted frames, and what follows them is not decoded.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoclf.errors import UnreadableVideoError
from videoclf.readers.demux import open_video, reason_of
from videoclf.readers.indexed import IndexedReader
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.safety import Limits
from videoclf.readers.scaling import Scaler

# A seek loses about as many frames as the decoder holds back for reordering.
_SEEK_GAIN = 2


class _LostTrackError(Exception):
    """A decoded frame is not the one that the index lists; the text is a reason for the user."""


class PyavReader(IndexedReader):
    """Read exact frames of one video file; arguments as for `IndexedReader`.

    The decoder goes on from where the last call ended, so that ascending calls decode nothing
    twice.
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
        self._seekable = self.index.seekable
        # The first frame on screen that each keyframe leads to.
        self._key_frames = np.searchsorted(self.index.timestamps, self.index.key_timestamps)
        self._decoding: Iterator[VideoFrame] | None = None
        self._next = 0  # the frame that the decoder gives next
        self._needed: set[int] = set()  # timestamps of the frames that this call returns
        self._skipped: set[int] = set()  # those that the decoder was allowed to leave out
        self._stretch: set[int] = set()  # those needed before the next seek, if one follows
        self._awaited: set[int] = set()  # those of the stretch that the decoder has not been given
        self._given: set[int] = set()  # all that it has, in this stretch
        self._emptied = False  # the decoder, so that only a seek leads on
        self._damaged = False  # a frame since the last keyframe
        self._scaler = Scaler()

    def close(self) -> None:
        """Release the file and the decoder; may be called twice."""
        self._decoding = None
        super().close()

    def _decode(self, distinct: np.ndarray, height: int, width: int) -> np.ndarray:
        self._needed = set(self.index.timestamps[distinct].tolist())
        if not self._skipped.isdisjoint(self._needed):
            self._decoding = None  # an earlier call left out what this one needs
        clip = np.empty((len(distinct), height, width, 3), np.uint8)  # (N, H, W, 3)
        row = 0
        stretches = self._stretches(distinct)
        for number, stretch in enumerate(stretches, start=1):
            self._begin_stretch(stretch, seek_follows=number < len(stretches))
            for target in stretch:
                clip[row] = self._picture(self._frame(int(target)), height, width)
                row += 1
        return clip

    def _stretches(self, distinct: np.ndarray) -> list[np.ndarray]:
        """Split ascending frames, int64 (N,), where a seek lies between one and the next."""
        if self.index.decoded or not self._seekable:
            return [distinct]  # a packet may be half a frame
        keys = np.searchsorted(self._key_frames, distinct, side="right") - 1
        ahead = self._key_frames[np.maximum(keys, 0)][1:] - distinct[:-1] - 1
        return np.split(distinct, np.flatnonzero(ahead > _SEEK_GAIN) + 1)

    def _begin_stretch(self, stretch: np.ndarray, *, seek_follows: bool) -> None:
        if self._emptied:
            self._decoding, self._emptied = None, False
        self._stretch = set(self.index.timestamps[stretch].tolist()) if seek_follows else set()
        self._awaited = set(self._stretch)
        self._given.clear()

    def _picture(self, frame: VideoFrame, height: int, width: int) -> np.ndarray:
        """Convert a frame to RGB at the shown size, uint8 (height, width, 3)."""
        orientation = self.index.orientation
        if orientation.transpose:
            height, width = width, height
        return orientation.apply(self._scaler.rgb(frame, height, width))

    def _frame(self, target: int) -> VideoFrame:
        """Return frame `target`, by a seek where that is verified, else counted from the start."""
        try:
            if self._seekable:
                try:
                    return self._frame_by_seek(target)
                except _LostTrackError:
                    self._seekable = False
                    self._decoding = None
            return self._frame_by_count(target)
        except FFmpegError as error:
            self._decoding = None
            reason = f"is damaged near frame {self._next} of {self.num_frames} ({reason_of(error)})"
            raise UnreadableVideoError(self.path, reason) from error
        except _LostTrackError as error:
            self._decoding = None
            raise UnreadableVideoError(self.path, str(error)) from error

    def _frame_by_count(self, target: int) -> VideoFrame:
        if self._decoding is None or target < self._next:
            # A seek to the start is not exact everywhere; a new opening is.
            self.close()
            self._opened = open_video(self.path, self._kind, self._limits)
            self._skipped.clear()
            self._emptied = False
            self._start(self._opened.frames(lambda _: False), 0)
        return self._forward(target)

    def _frame_by_seek(self, target: int) -> VideoFrame:
        key = int(np.searchsorted(self._key_frames, target, side="right")) - 1
        if key < 0:
            raise _LostTrackError(f"no keyframe leads to frame {target}")
        if self._decoding is None or not self._key_frames[key] - _SEEK_GAIN <= self._next <= target:
            self._seek(key)
        return self._forward(target)

    def _start(self, decoding: Iterator[VideoFrame], first: int) -> None:
        """Go on with frames that begin with number `first`."""
        self._decoding, self._next = decoding, first
        self._damaged = False

    def _seek(self, key: int) -> None:
        """Stand before the frame that keyframe number `key` leads to."""
        if self._opened is None:
            self._opened = open_video(self.path, self._kind, self._limits)
        # Where frames are reordered a seek may land behind the keyframe: the one before is tried.
        for attempt in range(key, max(key - 2, -1), -1):
            first = int(self._key_frames[attempt])
            self._skipped.clear()
            self._needed.add(int(self.index.timestamps[first]))
            self._awaited, self._emptied = set(self._stretch), False
            self._given.clear()
            decoding = self._opened.frames(self._may_skip, self._is_last)
            ticks = int(self.index.key_timestamps[attempt])
            try:
                self._opened.container.seek(ticks, stream=self._opened.stream)
                frame = self._first_from(decoding, first)
            except FFmpegError as error:
                raise _LostTrackError(f"cannot seek ({reason_of(error)})") from error
            if frame is not None:
                self._start(itertools.chain([frame], decoding), first)
                return
        raise _LostTrackError(f"no keyframe leads to frame {self._key_frames[key]}")

    def _first_from(self, decoding: Iterator[VideoFrame], first: int) -> VideoFrame | None:
        """Return frame number `first`, or None where decoding begins behind it.

        What precedes a keyframe on screen (open GOP) may refer to frames before it: passed over.
        """
        timestamp = self.index.timestamps[first]
        for frame in decoding:
            if frame.pts == timestamp:
                return frame
            if frame.pts is None or frame.pts > timestamp:
                break
        return None

    def _may_skip(self, packet: Packet[VideoStream]) -> bool:
        """Say whether the decoder may leave out a frame that no other refers to."""
        pts = packet.pts
        if pts is None or packet.is_keyframe or pts in self._needed:
            return False
        self._skipped.add(pts)
        return True

    def _is_last(self, packet: Packet[VideoStream]) -> bool:
        """Say whether the decoder now has all packets of this stretch's frames."""
        if packet.pts is None or not self._stretch:
            return False
        self._given.add(packet.pts)
        self._awaited.discard(packet.pts)
        if self._awaited:
            return False
        # Frames that precede a wanted one on screen may follow it in the file: they never come.
        first, last = min(self._given), max(self._stretch)
        between = slice(*np.searchsorted(self.index.timestamps, [first, last]))
        self._skipped |= set(self.index.timestamps[between].tolist()) - self._given
        self._emptied = True
        return True

    def _forward(self, target: int) -> VideoFrame:
        """Decode from where the decoder stands up to `target`, checking each frame."""
        assert self._decoding is not None
        timestamps = self.index.timestamps
        for frame in self._decoding:
            while frame.pts != timestamps[self._next] and timestamps[self._next] in self._skipped:
                self._next += 1
            if self.index.verifiable and frame.pts != timestamps[self._next]:
                raise _LostTrackError(f"frame {self._next} of {self.num_frames} is missing")
            if frame.key_frame:
                self._damaged = False
            # The decoder hides what it could not read; later frames copy from it.
            self._damaged |= frame.is_corrupt
            self._next += 1
            if self._next > target:
                if self._emptied and frame.interlaced_frame:
                    raise _LostTrackError("its packets hold half frames")
                if self._damaged:
                    raise UnreadableVideoError(self.path, f"frame {target} is damaged")
                return frame
        raise _LostTrackError(f"ends after frame {self._next} of {self.num_frames}")
