"""How many bytes a file must have, by its own outermost headers: truncated files show here.

Only a few headers are read. MPEG-TS, MPEG-PS, FLV and Ogg do not state their length.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from videoclf.errors import UnreadableVideoError

_HEAD_BYTES = 4096
_UNKNOWN_MORE = 1 << 64
# The ASF "file properties" object; the file's size stands behind its own size and an identifier.
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def missing_bytes(path: str, kind: str) -> str | None:
    """Compare a file's length with what its headers promise.

    Args:
        path: the file.
        kind: its container, a key of `videoclf.readers.safety.DEMUXERS`.

    Returns:
        None where nothing is missing or the container does not say, else a clause such as
        "250000 of 542698 bytes are there" or "its end mark is missing".

    Raises:
        UnreadableVideoError: the file cannot be opened.
    """
    if kind not in _PROMISED_BYTES:
        return None
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            promised = _PROMISED_BYTES[kind](file, size)
    except OSError as error:
        raise UnreadableVideoError(path, f"cannot be opened ({error.strerror})") from error
    if promised is None or promised <= size:
        return None
    if promised == _UNKNOWN_MORE:
        return "its end mark is missing"
    return f"{size} of {promised} bytes are there"


def _mp4_bytes(file: BinaryIO, size: int) -> int | None:
    """Walk over the top-level boxes; the last one says where the file ends."""
    position, fragmented = 0, False
    while position < size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if len(head) >= 16 and length == 1:
            length = int.from_bytes(head[8:16], "big")
        fragmented |= head[4:8] == b"moof"
        if len(head) < 8 and fragmented:
            return position + 8  # cut inside the header of the next fragment
        if length < 8 or not head[4:8].isalnum():
            return None  # to the end of the file, or padding that is no box
        position += length
    return position


def _matroska_bytes(file: BinaryIO, _size: int) -> int | None:
    """Read the sizes of the EBML header and of the segment behind it."""
    head = file.read(_HEAD_BYTES)
    header = _ebml_size(head, 4)
    if header is None:
        return None
    segment = sum(header)
    if head[segment : segment + 4] != b"\x18\x53\x80\x67":
        return None
    body = _ebml_size(head, segment + 4)
    return None if body is None else sum(body)


def _ebml_size(head: bytes, place: int) -> tuple[int, int] | None:
    """Return (place behind it, value) of an EBML size; None where it is unknown.

    The number of leading zero bits tells its length: 0x8f is 15 in one byte, 0x40 0x02 is 2 in
    two. All bits set means unknown, as in a live recording.
    """
    if place >= len(head) or head[place] == 0:
        return None
    num_bytes = 9 - head[place].bit_length()
    unknown = (1 << 7 * num_bytes) - 1
    value = int.from_bytes(head[place : place + num_bytes], "big") & unknown
    return None if value == unknown else (place + num_bytes, value)


def _avi_bytes(file: BinaryIO, _size: int) -> int | None:
    """Read the size of the first RIFF chunk; a recorder that was cut off leaves it 0."""
    length = int.from_bytes(file.read(8)[4:8], "little")
    return None if length in (0, 0xFFFFFFFF) else length + 8


def _asf_bytes(file: BinaryIO, _size: int) -> int | None:
    """Read the size of the file from its properties; a broadcast has 0."""
    head = file.read(_HEAD_BYTES)
    place = head.find(_ASF_PROPERTIES)
    if place < 0:
        return None
    return int.from_bytes(head[place + 40 : place + 48], "little")


def _gif_bytes(file: BinaryIO, size: int) -> int | None:
    """Look for the trailer, a semicolon, behind which only zeros may stand."""
    file.seek(max(size - _HEAD_BYTES, 0))
    ended = file.read().rstrip(b"\0").endswith(b";")
    return None if ended else _UNKNOWN_MORE


_PROMISED_BYTES: dict[str, Callable[[BinaryIO, int], int | None]] = {
    "mp4": _mp4_bytes,
    "matroska": _matroska_bytes,
    "avi": _avi_bytes,
    "asf": _asf_bytes,
    "gif": _gif_bytes,
}
