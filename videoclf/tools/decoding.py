"""Decode a video from begin to end, or a stretch of it, frame by frame and without conversion.

Readers return arrays of the frames that a clip wants. To check or to re-encode a file all of them
pass once, in order, however many there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from videoclf.errors import UnreadableVideoError
from videoclf.readers.demux import OpenedVideo, open_video, reason_of
from videoclf.readers.indexing import build_index
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.safety import Limits


@dataclass(frozen=True)
class Decoded:
    """What decoding a whole file gave.

    Args:
        num_frames: frames that came.
        num_damaged: those that the decoder marks as damaged.
        first_damaged: number of the first of them.
        error: FFmpeg's words where it gave up.
        stated_frames: how many the header promises; None where it does not say.
    """

    num_frames: int
    num_damaged: int
    first_damaged: int | None
    error: str | None
    stated_frames: int | None


def decode_whole(path: str, kind: str) -> Decoded:
    """Decode all frames of a file and count them.

    Args:
        path: the file.
        kind: its container, from `videoclf.readers.safety.container_kind`.

    Raises:
        UnreadableVideoError: the file cannot be opened.
    """
    opened = open_video(path, kind, Limits())
    count, error = _Count(), None
    with opened.container:
        stated = opened.stream.frames or None
        try:
            for frame in opened.frames(_skip_nothing):
                count.see(frame)
        except FFmpegError as raised:
            error = reason_of(raised)
    return count.decoded(error, stated)


def index_and_decode(path: str, kind: str) -> tuple[PacketIndex, Decoded | None]:
    """Make a file's packet index, and decode all frames in the same pass where it needs that.

    Args:
        path: the file.
        kind: its container, from `videoclf.readers.safety.container_kind`.

    Returns:
        The index, and what decoding gave; None where the packets told the frames.

    Raises:
        UnreadableVideoError: the file cannot be opened or indexed.
    """
    limits, count = Limits(), _Count()
    opened = open_video(path, kind, limits)
    with opened.container:
        index = build_index(opened, limits, count.see)
        stated = opened.stream.frames or None
    return index, count.decoded(None, stated) if index.decoded else None


class _Count:
    """Counts the frames that it is shown, and the damaged ones among them."""

    def __init__(self) -> None:
        self.num_frames = self.num_damaged = 0
        self.first_damaged: int | None = None

    def see(self, frame: VideoFrame) -> None:
        if frame.is_corrupt:
            self.first_damaged = self.num_frames if not self.num_damaged else self.first_damaged
            self.num_damaged += 1
        self.num_frames += 1

    def decoded(self, error: str | None, stated_frames: int | None) -> Decoded:
        return Decoded(self.num_frames, self.num_damaged, self.first_damaged, error, stated_frames)


def decode_stretch(
    path: str, index: PacketIndex, first: int, last: int
) -> Generator[VideoFrame, None, None]:
    """Yield the frames [first, last) of a file, each checked to be the one that the index lists.

    Args:
        path: the file.
        index: its packet index.
        first: number of the first frame.
        last: number of the frame behind the last one.

    Raises:
        UnreadableVideoError: a frame is damaged or missing.
    """
    opened = open_video(path, index.container, Limits())
    number, damaged = 0, False
    with opened.container:
        try:
            frames, number = _begin(opened, index, first)
            if frames is None:
                with closing(decode_stretch(path, index, 0, last)) as whole:
                    yield from itertools.islice(whole, first, last)
                return
            for frame in frames:
                if index.verifiable and frame.pts != index.timestamps[number]:
                    raise UnreadableVideoError(path, f"frame {number} is missing")
                # what the decoder could not read it hides, and later frames copy from it
                damaged = frame.is_corrupt or (damaged and not frame.key_frame)
                if number >= first:
                    if damaged:
                        raise UnreadableVideoError(path, f"frame {number} is damaged")
                    yield frame
                number += 1
                if number == last:
                    return
        except FFmpegError as error:
            reason = f"is damaged near frame {number} of {index.num_frames} ({reason_of(error)})"
            raise UnreadableVideoError(path, reason) from error
    raise UnreadableVideoError(path, f"ends after frame {number} of {index.num_frames}")


def _begin(
    opened: OpenedVideo, index: PacketIndex, first: int
) -> tuple[Iterator[VideoFrame] | None, int]:
    """Return frames that begin at or before `first`, and the number of the first of them.

    None where a seek did not lead to the keyframe that the index names.
    """
    frames = opened.frames(_skip_nothing)
    key_frames = np.searchsorted(index.timestamps, index.key_timestamps)
    key = int(np.searchsorted(key_frames, first, side="right")) - 1
    if not index.seekable or key < 1:
        return frames, 0
    opened.container.seek(int(index.key_timestamps[key]), stream=opened.stream)
    start = int(key_frames[key])
    for frame in frames:
        if frame.pts == index.timestamps[start]:
            return itertools.chain([frame], frames), start
        if frame.pts is None or frame.pts > index.timestamps[start]:
            break
    return None, 0


def _skip_nothing(packet: object) -> bool:  # noqa: ARG001
    return False
