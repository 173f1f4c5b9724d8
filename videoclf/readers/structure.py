"""Whether the outermost parts of a file are all there and fit together: lost data show here.

FFmpeg passes over what it cannot parse and gives fewer frames, without an error. Here the sizes
that a container states about itself are followed from part to part; only their headers are read.
MPEG-TS, MPEG-PS, FLV and Ogg state no sizes that would help.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from videoclf.errors import UnreadableVideoError

_HEAD_BYTES = 4096
_MAX_GIF_BYTES = 1 << 28
# The ASF "file properties" object; the file's size stands behind its own size and an identifier.
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_FRAGMENT_BOXES = set(
    b"ftyp styp moov moof mdat sidx ssix mfra free skip uuid emsg prft udta meta wide".split()
)
_SEGMENT = b"\x18\x53\x80\x67"
_CLUSTER = b"\x1f\x43\xb6\x75"
_SEGMENT_PARTS = {
    _CLUSTER,
    b"\x11\x4d\x9b\x74",  # seek head
    b"\x15\x49\xa9\x66",  # information
    b"\x16\x54\xae\x6b",  # tracks
    b"\x1c\x53\xbb\x6b",  # cues
    b"\x12\x54\xc3\x67",  # tags
    b"\x10\x43\xa7\x70",  # chapters
    b"\x19\x41\xa4\x69",  # attachments
    b"\xec",  # padding
    b"\xbf",  # checksum
}


def lost_parts(path: str, kind: str) -> str | None:
    """Follow the sizes that a container states about itself.

    Args:
        path: the file.
        kind: its container, a key of `videoclf.readers.safety.DEMUXERS`.

    Returns:
        None where nothing is missing or the container does not say, else a clause such as
        "250000 of 542698 bytes are there" or "its parts do not fit together at byte 1234".

    Raises:
        UnreadableVideoError: the file cannot be opened.
    """
    if kind not in _WALKS:
        return None
    try:
        with open(path, "rb") as file:
            return _WALKS[kind](file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise UnreadableVideoError(path, f"cannot be opened ({error.strerror})") from error


def _short(size: int, promised: int) -> str | None:
    return f"{size} of {promised} bytes are there" if promised > size else None


def _misfit(position: int) -> str:
    return f"its parts do not fit together at byte {position}"


def _mp4(file: BinaryIO, size: int) -> str | None:
    """Walk over the top-level boxes; the last one says where the file ends."""
    position, fragmented = 0, False
    while position < size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if len(head) == 16 and length == 1:
            length = int.from_bytes(head[8:16], "big")
        fragmented |= head[4:8] == b"moof"
        if fragmented and len(head) < 8:
            return _short(size, position + 8)
        if fragmented and (length < 8 or head[4:8] not in _FRAGMENT_BOXES):
            return _misfit(position)
        if length < 8 or not head[4:8].isalnum():
            return None  # to the end of the file, or padding that is no box
        position += length
    return _short(size, position)


def _matroska(file: BinaryIO, size: int) -> str | None:
    """Walk over the parts of the segment: clusters, cues, tags."""
    head = file.read(_HEAD_BYTES)
    header = _ebml_size(head, 4)
    if header is None or head[sum(header) :][:4] != _SEGMENT:
        return _misfit(4)
    segment = _ebml_size(head, sum(header) + 4)
    if segment is None:
        return None  # a live recording, of unknown size
    position, end = segment[0], sum(segment)
    while position < min(end, size):
        file.seek(position)
        head = file.read(12)
        name_bytes = 9 - head[0].bit_length()
        if head[:name_bytes] not in _SEGMENT_PARTS:
            return _misfit(position)
        body = _ebml_size(head, name_bytes)
        if body is None:
            return None if head.startswith(_CLUSTER) else _misfit(position)
        position += sum(body)
    return _short(size, end) or (_misfit(end) if position != end else None)


def _ebml_size(head: bytes, place: int) -> tuple[int, int] | None:
    """Return (place behind it, value) of an EBML size; None where it is unknown or no size.

    The number of leading zero bits tells its length: 0x8f is 15 in one byte, 0x40 0x02 is 2 in
    two. All bits set means unknown, as in a live recording.
    """
    if place >= len(head) or head[place] == 0:
        return None
    num_bytes = 9 - head[place].bit_length()
    unknown = (1 << 7 * num_bytes) - 1
    value = int.from_bytes(head[place : place + num_bytes], "big") & unknown
    return None if value == unknown else (place + num_bytes, value)


def _avi(file: BinaryIO, size: int) -> str | None:
    """Read the size of the first RIFF chunk; a recorder that was cut off leaves it 0."""
    length = int.from_bytes(file.read(8)[4:8], "little")
    return None if length in (0, 0xFFFFFFFF) else _short(size, length + 8)


def _asf(file: BinaryIO, size: int) -> str | None:
    """Read the size of the file from its properties; a broadcast has 0."""
    head = file.read(_HEAD_BYTES)
    place = head.find(_ASF_PROPERTIES)
    if place < 0:
        return None
    return _short(size, int.from_bytes(head[place + 40 : place + 48], "little"))


def _gif(file: BinaryIO, size: int) -> str | None:
    """Walk over extensions and pictures to the trailer, a semicolon."""
    data = file.read(_MAX_GIF_BYTES)
    if len(data) < size:
        return None  # too long to walk over in memory
    position = 13 + _colours(data, 10)
    while (mark := data[position : position + 1]) in (b"!", b","):
        if mark == b",":
            position += 11 + _colours(data, position + 9)  # the descriptor and the code size
        else:
            position += 2
        while position < size and data[position]:
            position += 1 + data[position]
        position += 1
    if position >= size:
        return "its end mark is missing"
    return None if mark == b";" else _misfit(position)


def _colours(data: bytes, place: int) -> int:
    """Return the bytes of the colour table that the flags at `place` announce."""
    flags = data[place] if place < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


_WALKS: dict[str, Callable[[BinaryIO, int], str | None]] = {
    "mp4": _mp4,
    "matroska": _matroska,
    "avi": _avi,
    "asf": _asf,
    "gif": _gif,
}
