"""Open a video with PyAV and list its packets; the only place that gives a file to FFmpeg.

A file is opened with the demuxer that its first bytes name and the `file` protocol only. The
index is made from packets alone where each packet is known to give one frame; otherwise every
frame is decoded once and counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoclf.errors import UnreadableVideoError
from videoclf.readers.geometry import Orientation, orientation_from_matrix
from videoclf.readers.length import missing_bytes
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.safety import DEMUXERS, Limits

# Containers that state exact presentation timestamps and seek to them.
_SEEKABLE = {"mp4", "matroska"}
# Decoders that give one frame for each packet. VP8 hides frames and MPEG-4 skips them.
_ONE_FRAME_A_PACKET = {"h264", "hevc", "vp9", "av1", "libdav1d", "mjpeg", "prores", "ffv1"}
_BEGIN_ANYWHERE = {"mpegts", "mpegps", "mpegvideo"}
_PROGRESSIVE = (0, 1)  # AVFieldOrder: unknown, progressive; else a packet may be half a frame
_ATTACHED_PICTURE = 0x0400
_TIMED_THUMBNAILS = 0x0800
_DEFAULT_RATE = 25


@dataclass(frozen=True)
class OpenedVideo:
    """A container and the one stream of it that is read."""

    path: str
    kind: str
    container: InputContainer
    stream: VideoStream
    num_video_streams: int

    def frames(self, may_skip: Callable[[Packet[VideoStream]], bool]) -> Iterator[VideoFrame]:
        """Decode from where the container stands, in presentation order.

        Args:
            may_skip: says of a packet that its frame need not be decoded; it still is where
                other frames refer to it.

        Raises:
            FFmpegError: damaged data.
        """
        started = False
        context = self.stream.codec_context
        for packet in self.container.demux(self.stream):
            context.skip_frame = "NONREF" if may_skip(packet) else "DEFAULT"
            for frame in decode_packet(self, packet, started):
                started = True
                yield frame


def decode_packet(
    opened: OpenedVideo, packet: Packet[VideoStream], started: bool
) -> list[VideoFrame]:
    """Decode one packet.

    Errors are passed over only where a broadcast stream has not `started` to give frames: a
    recording begins anywhere, and nothing decodes before its first keyframe.

    Raises:
        FFmpegError: damaged data.
    """
    try:
        return packet.decode()
    except FFmpegError:
        if started or opened.kind not in _BEGIN_ANYWHERE:
            raise
        return []


def reason_of(error: FFmpegError) -> str:
    """Return FFmpeg's own words for an error, without paths and numbers."""
    return str(error.strerror or type(error).__name__)


def open_video(path: str, kind: str, limits: Limits) -> OpenedVideo:
    """Open a checked file and choose its first real video stream, with one decoder thread.

    Args:
        path: the file.
        kind: its container, from `container_kind`.
        limits: what its header may demand.

    Raises:
        UnreadableVideoError: damaged header, no video stream, over a limit.
    """
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": DEMUXERS[kind],
        "max_pixels": str(limits.max_pixels),
    }
    try:
        container = av.open(f"file:{path}", format=DEMUXERS[kind].split(",")[0], options=options)
    except FFmpegError as error:
        why = missing_bytes(path, kind) or reason_of(error)
        reason = f"its header cannot be read ({why})"
        raise UnreadableVideoError(path, reason) from error
    try:
        streams = [stream for stream in container.streams.video if _is_video(stream)]
        if not streams:
            raise UnreadableVideoError(path, "no video stream")
        stream = streams[0]
        context = stream.codec_context
        limits.check_size(path, context.height, context.width)
        if container.duration is not None:
            limits.check_duration(path, container.duration / av.time_base)
        context.thread_count = 1
        context.thread_type = "SLICE"
        context.options = {"max_pixels": str(limits.max_pixels)}
    except UnreadableVideoError:
        container.close()
        raise
    return OpenedVideo(path, kind, container, stream, len(streams))


def _is_video(stream: VideoStream) -> bool:
    """Say whether a stream is a film: not a cover picture, and of a codec known here."""
    still = int(stream.disposition) & (_ATTACHED_PICTURE | _TIMED_THUMBNAILS)
    return not still and getattr(stream, "codec_context", None) is not None


@dataclass
class _Packets:
    """What one walk over a stream collects: its packets, and the frames that were decoded."""

    shown: list[int | None] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    dropped: int = 0
    leading: bool = False
    starts_with_key: bool = False
    cut: bool = False
    first: VideoFrame | None = None
    decoded: list[int | None] = field(default_factory=list)

    def add(self, packet: Packet[VideoStream]) -> None:
        """Note one packet that carries data."""
        if not self.shown and not self.dropped:
            self.starts_with_key = packet.is_keyframe
        self.cut |= packet.is_corrupt
        if packet.is_keyframe and packet.pts is not None:
            self.keys.append(packet.pts)
        elif self.keys and packet.pts is not None and packet.pts < self.keys[-1]:
            self.leading = True
        if packet.is_discard:
            self.dropped += 1
        else:
            self.shown.append(packet.pts)

    def tell_the_frames(self) -> bool:
        """Say whether decoding gives exactly one frame for each shown packet, at its timestamp.

        Not where timestamps are missing or doubled, where an edit list drops packets, or where
        frames precede the very first keyframe on screen: those may not decode.
        """
        known = [pts for pts in self.shown if pts is not None]
        return (
            self.starts_with_key
            and self.dropped == 0
            and len(set(known)) == len(self.shown)
            and bool(self.keys)
            and min(known) == self.keys[0]
        )


def build_index(opened: OpenedVideo, limits: Limits) -> PacketIndex:
    """Walk over a freshly opened video and list its frames.

    The container stands anywhere afterwards.

    Raises:
        UnreadableVideoError: the file ends early, is damaged, over a limit, or has no frame.
    """
    context = opened.stream.codec_context
    decode_all = (
        opened.kind not in _SEEKABLE
        or context.name not in _ONE_FRAME_A_PACKET
        or context.field_order not in _PROGRESSIVE
    )
    packets = _walk(opened, limits, decode_all)
    if not decode_all and not packets.tell_the_frames():
        decode_all = True
        again = open_video(opened.path, opened.kind, limits)
        try:
            packets = _walk(again, limits, decode_all)
        finally:
            again.container.close()
    timestamps = packets.decoded if decode_all else sorted(packets.shown, key=_number)
    return _assemble(opened, packets, timestamps, decode_all)


def _number(timestamp: int | None) -> int:
    assert timestamp is not None
    return timestamp


def _walk(opened: OpenedVideo, limits: Limits, decode_all: bool) -> _Packets:
    """Demux all packets; decode all of them, or until the first frame has shown its size."""
    packets = _Packets()
    path = opened.path
    try:
        for packet in opened.container.demux(opened.stream):
            if packet.size:
                packets.add(packet)
                limits.check_frames(path, len(packets.shown))
            if decode_all or packets.first is None:
                for frame in decode_packet(opened, packet, packets.first is not None):
                    packets.first = packets.first or frame
                    packets.decoded.append(frame.pts)
    except FFmpegError as error:
        reason = f"is damaged at frame {len(packets.decoded)} ({reason_of(error)})"
        raise UnreadableVideoError(path, reason) from error
    missing = missing_bytes(path, opened.kind)
    if missing or packets.cut:
        stated = opened.stream.frames
        expected = f" of {stated}" if stated > len(packets.shown) else ""
        place = f"after frame {len(packets.shown)}{expected}"
        raise UnreadableVideoError(path, f"ends {place} ({missing or 'its last packet is cut'})")
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
    if not verifiable or opened.kind == "avi":
        # AVI has a steady rate by its design; elsewhere no better is known.
        verifiable = False
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
