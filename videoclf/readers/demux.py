"""Open a video with PyAV and give its packets and frames: the only place that calls FFmpeg.

A file is opened with the demuxer that its first bytes name and the `file` protocol only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoclf.errors import UnreadableVideoError
from videoclf.readers.safety import DEMUXERS, Limits
from videoclf.readers.structure import lost_parts

# A recorded broadcast begins anywhere, also between keyframes.
_BEGIN_ANYWHERE = {"mpegts", "mpegps", "mpegvideo"}
_STREAMS_UNANNOUNCED = {*_BEGIN_ANYWHERE, "flv", "ogg"}


@dataclass(frozen=True)
class OpenedVideo:
    """A container and the one stream of it that is read."""

    path: str
    kind: str
    container: InputContainer
    stream: VideoStream
    num_video_streams: int

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Demux from where the container stands; the last packet is empty and ends decoding.

        Raises:
            FFmpegError: damaged data.
        """
        for packet in self.container.demux(self.stream):
            if packet.size:
                yield packet
            elif packet.pts is None and packet.dts is None:
                # Going on would end the streams that appeared meanwhile, which PyAV cannot.
                yield packet
                return
            # What is left is an empty place in an AVI file; a decoder takes it for the end.

    def frames(
        self,
        may_skip: Callable[[Packet[VideoStream]], bool],
        is_last: Callable[[Packet[VideoStream]], bool] = lambda _: False,
    ) -> Iterator[VideoFrame]:
        """Decode from where the container stands, in presentation order.

        Args:
            may_skip: says of a packet that its frame need not be decoded; it still is where
                other frames refer to it.
            is_last: says of a packet that no later one is needed. What the decoder holds back for
                reordering then comes at once; to go on, the container must be moved.

        Raises:
            FFmpegError: damaged data.
        """
        started = False
        context = self.stream.codec_context
        for packet in self.packets():
            context.skip_frame = "NONREF" if may_skip(packet) else "DEFAULT"
            for frame in decode_packet(self, packet, started):
                started = True
                yield frame
            if is_last(packet):
                yield from context.decode(None)
                return


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
    max_pixels = {"max_pixels": str(limits.max_pixels)}
    try:
        container = av.open(
            f"file:{path}",
            format=DEMUXERS[kind].split(",")[0],
            container_options={"protocol_whitelist": "file", "format_whitelist": DEMUXERS[kind]},
            # Reach the decoders that look for a stream's properties. PyAV before 16 crashes on
            # them where streams are found by and by.
            options={} if kind in _STREAMS_UNANNOUNCED else max_pixels,
            metadata_errors="replace",  # titles in old AVI files are in any encoding
        )
    except FFmpegError as error:
        why = lost_parts(path, kind) or reason_of(error)
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
        context.options = max_pixels
    except UnreadableVideoError:
        container.close()
        raise
    return OpenedVideo(path, kind, container, stream, len(streams))


def _is_video(stream: VideoStream) -> bool:
    """Say whether a stream is a film: not a cover picture, and of a codec known here."""
    still = bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))
    return not still and getattr(stream, "codec_context", None) is not None
