"""What is checked before any decoder sees a file: its kind, its first bytes, and limits.

A playlist named `.mp4` makes FFmpeg open other files and URLs, a FIFO hangs it, and a small file
can demand gigabytes. The checks here cost a `stat` and one short read.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from videoclf.errors import UnreadableVideoError

HEAD_BYTES = 4096

# By kind of container: FFmpeg's name of the demuxer. Nothing else is ever opened.
DEMUXERS = {
    "mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska": "matroska,webm",
    "avi": "avi",
    "asf": "asf",
    "flv": "flv",
    "gif": "gif",
    "ogg": "ogg",
    "mpegts": "mpegts",
    "mpegps": "mpeg",
    "mpegvideo": "mpegvideo",
}

_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}
_BEGINNINGS = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"FLV\x01", "flv"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"OggS", "ogg"),
    (b"\x00\x00\x01\xba", "mpegps"),
    (b"\x00\x00\x01\xb3", "mpegvideo"),
)
_STRANGERS = (
    (b"#extm3u", "is a playlist, not a video"),
    (b"ffconcat", "is a playlist, not a video"),
    (b"[playlist]", "is a playlist, not a video"),
    (b"<!doctype", "is a web page, not a video"),
    (b"<html", "is a web page, not a video"),
    (b"<?xml", "is an XML text, not a video"),
    (b"{", "is a JSON text, not a video"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the video itself"),
    (b"id3", "is an audio file (MP3), no video stream"),
    (b"\xff\xfb", "is an audio file (MP3), no video stream"),
    (b"fLaC".lower(), "is an audio file (FLAC), no video stream"),
    (b"\xff\xd8\xff", "is a picture (JPEG), not a video"),
    (b"\x89png", "is a picture (PNG), not a video"),
    (b"pk\x03\x04", "is a ZIP archive, not a video"),
    (b"\x1f\x8b", "is a gzip archive, not a video"),
)
_FILE_KINDS = (
    (stat.S_ISDIR, "is a folder, not a file"),
    (stat.S_ISFIFO, "is a FIFO, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one file may demand.

    `max_pixels` bounds height x width of a frame (the default is 8K), `max_duration_seconds` the
    length that the header states, and `max_frames` the length of the packet index.
    """

    max_pixels: int = 8192 * 4320
    max_duration_seconds: float = 24 * 3600.0
    max_frames: int = 10_000_000

    def __post_init__(self) -> None:
        for name in ("max_pixels", "max_duration_seconds", "max_frames"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")

    def check_size(self, path: str, height: int, width: int) -> None:
        """Refuse a frame that is empty or larger than `max_pixels`.

        Raises:
            UnreadableVideoError: it is.
        """
        if height <= 0 or width <= 0:
            # FFmpeg is told the limit too, and blanks a size beyond it.
            reason = f"its frames have no size, or exceed the limit of {self.max_pixels} pixels"
            raise UnreadableVideoError(path, reason)
        if height * width > self.max_pixels:
            reason = f"frames of {width}x{height} exceed the limit of {self.max_pixels} pixels"
            raise UnreadableVideoError(path, reason)

    def check_duration(self, path: str, seconds: float) -> None:
        """Refuse a duration above `max_duration_seconds`.

        Raises:
            UnreadableVideoError: it is.
        """
        if seconds > self.max_duration_seconds:
            limit = self.max_duration_seconds
            reason = f"a duration of {seconds:.0f} s exceeds the limit of {limit:.0f} s"
            raise UnreadableVideoError(path, reason)

    def check_frames(self, path: str, num_frames: int) -> None:
        """Refuse more frames than `max_frames`.

        Raises:
            UnreadableVideoError: there are.
        """
        if num_frames > self.max_frames:
            raise UnreadableVideoError(path, f"has more than {self.max_frames} frames")


def file_status(path: str) -> os.stat_result:
    """Return `os.stat` of a file that may be read as a video.

    Raises:
        UnreadableVideoError: it is missing, empty, or not a regular file.
    """
    try:
        path.encode("utf-8")
        status = Path(path).stat()
    except FileNotFoundError as error:
        is_link = Path(path).is_symlink()
        reason = "is a link to nothing" if is_link else "does not exist"
        raise UnreadableVideoError(path, reason) from error
    except ValueError as error:
        raise UnreadableVideoError(path, "its name holds a NUL or is not UTF-8") from error
    except OSError as error:
        raise UnreadableVideoError(path, f"cannot be opened ({error.strerror})") from error
    for is_kind, reason in _FILE_KINDS:
        if is_kind(status.st_mode):
            raise UnreadableVideoError(path, reason)
    if status.st_size == 0:
        raise UnreadableVideoError(path, "is empty (0 bytes)")
    return status


def container_kind(path: str) -> str:
    """Check a file and return its kind of container, a key of `DEMUXERS`, by its first bytes.

    Raises:
        UnreadableVideoError: it is missing, empty, no regular file, or begins like no video.
    """
    file_status(path)
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise UnreadableVideoError(path, f"cannot be opened ({error.strerror})") from error
    if kind := _kind_of(head):
        return kind
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, reason in _STRANGERS:
        if text.startswith(beginning):
            raise UnreadableVideoError(path, reason)
    raise UnreadableVideoError(path, "does not begin like any known video container")


def _kind_of(head: bytes) -> str | None:
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return "avi"
    if head[4:8] in _MP4_BOXES:
        return "mp4"
    return "mpegts" if _is_transport_stream(head) else None


def _is_transport_stream(head: bytes) -> bool:
    """Say whether five packets in a row begin with the sync byte, after at most one packet."""
    for packet_bytes in (188, 192, 204):
        for offset in range(packet_bytes):
            syncs = head[offset : offset + 5 * packet_bytes : packet_bytes]
            if syncs == b"GGGGG":
                return True
    return False
