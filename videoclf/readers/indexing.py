"""Make the packet index of an opened video.

From the packets alone where each is known to give one frame; otherwise every frame is decoded
once and counted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoclf.errors import UnreadableVideoError
from videoclf.readers.demux import OpenedVideo, decode_packet, open_video, reason_of
from videoclf.readers.geometry import Orientation, orientation_from_matrix
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.safety import Limits
from videoclf.readers.structure import lost_parts

# Containers that state exact presentation timestamps and seek to them.
_SEEKABLE = {"mp4", "matroska"}
# Decoders that give one frame for each packet. VP8 hides frames and MPEG-4 skips them.
_ONE_FRAME_A_PACKET = {"h264", "hevc", "vp9", "av1", "libdav1d", "mjpeg", "prores", "ffv1"}
_PROGRESSIVE = (0, 1)  # AVFieldOrder: unknown, progressive; else a packet may be half a frame
_DEFAULT_RATE = 25
_EARLY_SECONDS = 1.0  # by which a film may end before the end that its header states
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d*)?)")


@dataclass
class _Packets:
    """What one walk over a stream collects: its packets, and the frames that were decoded."""

    shown: list[int | None] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    dropped: int = 0
    leading: bool = False
    starts_with_key: bool = False
    cut_at: int | None = None
    first: VideoFrame | None = None
    decoded: list[int | None] = field(default_factory=list)

    def add(self, packet: Packet[VideoStream]) -> None:
        """Note one packet that carries data."""
        if not self.shown and not self.dropped:
            self.starts_with_key = packet.is_keyframe
        if packet.is_corrupt and self.cut_at is None:
            self.cut_at = len(self.shown)
        if packet.is_keyframe and packet.pts is not None:
            self.keys.append(packet.pts)
        elif self.keys and packet.pts is not None and packet.pts < self.keys[-1]:
            self.leading = True
        if packet.is_discard:
            self.dropped += 1
        else:
            self.shown.append(packet.pts)

    def lost(self, opened: OpenedVideo) -> str | None:
        """Say what the packets lack of what the headers state; None where nothing is known."""
        if self.cut_at is not None:
            return f"its packet {self.cut_at} is cut"
        stated = opened.stream.metadata.get("NUMBER_OF_FRAMES", "")
        if stated.isdecimal() and int(stated) > len(self.shown) + self.dropped:
            return f"{stated} are stated"
        end = stated_end(opened)
        known = sorted(pts for pts in self.shown if pts is not None)
        if end is None or not known or opened.stream.time_base is None:
            return None
        # The last picture of a slide show stays for as long as any other.
        longest = max((b - a for a, b in itertools.pairwise(known)), default=0)
        early = end - float((known[-1] + 2 * longest) * opened.stream.time_base)
        return f"{early:.1f} s before its stated end" if early > _EARLY_SECONDS else None

    def tell_the_frames(self) -> bool:
        """Say whether decoding gives exactly one frame for each shown packet, at its timestamp.

        Not where timestamps are missing or doubled, where an edit list drops packets, or where
        frames precede the very first keyframe on screen: those may not decode. A packet of an
        interlaced film may hold half a frame.
        """
        assert self.first is not None
        known = [pts for pts in self.shown if pts is not None]
        return (
            self.starts_with_key
            and not self.first.interlaced_frame
            and self.dropped == 0
            and len(set(known)) == len(self.shown)
            and bool(self.keys)
            and min(known) == self.keys[0]
        )


def stated_end(opened: OpenedVideo) -> float | None:
    """Return the presentation time in seconds at which the header says that the film ends.

    Only Matroska is asked: the tag of the stream itself, or the whole file's duration where it
    holds nothing else. Elsewhere edit lists and longer audio make the figure useless.
    """
    if opened.kind != "matroska":
        return None
    if match := _CLOCK.fullmatch(opened.stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if len(opened.container.streams) == 1 and opened.container.duration is not None:
        return float(opened.container.duration / av.time_base)
    return None


def build_index(
    opened: OpenedVideo, limits: Limits, see: Callable[[VideoFrame], None] | None = None
) -> PacketIndex:
    """Walk over a freshly opened video and list its frames.

    The container stands anywhere afterwards.

    Args:
        opened: the video.
        limits: what it may demand.
        see: called with each frame, where all are decoded (`PacketIndex.decoded`); spares whoever
            wants to look at them a pass of their own.

    Raises:
        UnreadableVideoError: the file ends early, is damaged, over a limit, or has no frame.
    """
    context = opened.stream.codec_context
    decode_all = (
        opened.kind not in _SEEKABLE
        or context.name not in _ONE_FRAME_A_PACKET
        or getattr(context, "field_order", _PROGRESSIVE[0]) not in _PROGRESSIVE  # PyAV 18
    )
    packets = _walk(opened, limits, see if decode_all else None, decode_all)
    if not decode_all and not packets.tell_the_frames():
        decode_all = True
        again = open_video(opened.path, opened.kind, limits)
        try:
            packets = _walk(again, limits, see, decode_all)
        finally:
            again.container.close()
    timestamps = packets.decoded if decode_all else sorted(packets.shown, key=_number)
    return _assemble(opened, packets, timestamps, decode_all)


def _number(timestamp: int | None) -> int:
    assert timestamp is not None
    return timestamp


def _walk(
    opened: OpenedVideo,
    limits: Limits,
    see: Callable[[VideoFrame], None] | None,
    decode_all: bool,
) -> _Packets:
    """Demux all packets; decode all of them, or until the first frame has shown its size."""
    packets = _Packets()
    path = opened.path
    try:
        for packet in opened.packets():
            if packet.size:
                packets.add(packet)
                limits.check_frames(path, len(packets.shown))
            if decode_all or packets.first is None:
                for frame in decode_packet(opened, packet, packets.first is not None):
                    packets.first = packets.first or frame
                    packets.decoded.append(frame.pts)
                    if see is not None:
                        see(frame)
    except FFmpegError as error:
        reason = f"is damaged at frame {len(packets.decoded)} ({reason_of(error)})"
        raise UnreadableVideoError(path, reason) from error
    if lost := lost_parts(path, opened.kind) or packets.lost(opened):
        stated = opened.stream.frames
        expected = f" of {stated}" if stated > len(packets.shown) else ""
        raise UnreadableVideoError(
            path, f"ends after frame {len(packets.shown)}{expected} ({lost})"
        )
    if packets.first is None:
        what = "no frame can be decoded" if packets.shown else "its video stream has no frame"
        raise UnreadableVideoError(path, what)
    limits.check_size(path, packets.first.height, packets.first.width)
    return packets


def _assemble(
    opened: OpenedVideo, packets: _Packets, timestamps: list[int | None], decoded: bool
) -> PacketIndex:
    stream, first = opened.stream, packets.first
    assert first is not None
    known = [pts for pts in timestamps if pts is not None]
    verifiable = len(known) == len(timestamps) and all(
        earlier < later for earlier, later in itertools.pairwise(known)
    )
    base = stream.time_base or Fraction(1, 1000)
    rate = stream.average_rate or stream.guessed_rate or Fraction(_DEFAULT_RATE)
    if not verifiable:
        # AVI has no presentation times, but a packet for each of its steady ticks: their order
        # serves. Elsewhere the rate of the header must do.
        known = sorted({pts for pts in packets.shown if pts is not None})
        if len(known) != len(timestamps):
            base = 1 / rate
            known = list(range(len(timestamps)))
    return PacketIndex(
        container=opened.kind,
        codec=stream.codec.canonical_name,
        stream=stream.index,
        num_video_streams=opened.num_video_streams,
        time_base=(base.numerator, base.denominator),
        timestamps=np.array(known, np.int64),
        key_timestamps=np.array(sorted(packets.keys), np.int64),
        decoded=decoded,
        seekable=opened.kind in _SEEKABLE and verifiable and bool(packets.keys),
        verifiable=verifiable,
        edited=packets.dropped > 0,
        leading_frames=packets.leading,
        height=first.height,
        width=first.width,
        rate=float(rate),
        orientation=orientation_of(first),
    )


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return how a frame is turned before it is shown, from its display matrix."""
    side_data: Any = frame.side_data  # a mapping by name; PyAV's stubs know one name only
    matrix = side_data.get("DISPLAYMATRIX")
    return Orientation() if matrix is None else orientation_from_matrix(bytes(matrix))
