"""Ways to damage a video file: each takes good content and gives bad, by chance that repeats."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# MP4 boxes have their size before the name, RIFF and Matroska parts behind it.
_BOXES = re.compile(rb"moov|trak|mdia|stbl|stts|ctts|stsz|stco|stsc|stsd|elst|moof|traf|trun|mdat")
_CHUNKS = re.compile(rb"RIFF|LIST|avih|strh|strf|movi|idx1|00dc")
_ELEMENTS = re.compile(rb"\x1a\x45\xdf\xa3|\x18\x53\x80\x67|\x1f\x43\xb6\x75|\x16\x54\xae\x6b|\xa3")
_EXTREMES = (0, 1, 7, 8, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True)
class Original:
    """A good video: its content, its file name's ending, and the number on each of its frames."""

    name: str
    suffix: str
    content: bytes
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Altered:
    """An altered file: where it lies, what was done, and what the original showed."""

    path: str
    original: str
    kind: str
    numbers: tuple[int, ...]


def _span(data: bytes, generator: random.Random, longest: int = 4096) -> tuple[int, int]:
    """Return (begin, end) of a stretch; short ones are as likely as long ones."""
    begin = generator.randrange(len(data))
    return begin, min(begin + generator.choice([1, 4, 64, 700, longest]), len(data))


def flip_bits(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Flip a bit in 1 to 32 places."""
    altered = bytearray(data)
    for _ in range(generator.choice([1, 4, 32])):
        altered[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    return bytes(altered)


def truncate(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Lose the end."""
    return data[: generator.randrange(1, len(data))]


def cut_out(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Lose a stretch."""
    begin, end = _span(data, generator)
    return data[:begin] + data[end:]


def blank(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Fill a stretch with zeros."""
    begin, end = _span(data, generator)
    return data[:begin] + bytes(end - begin) + data[end:]


def swap(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Exchange two neighbouring stretches."""
    begin, middle, end = sorted(generator.sample(range(len(data) + 1), 3))
    return data[:begin] + data[middle:end] + data[begin:middle] + data[end:]


def splice(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Go on as another file does."""
    return data[: generator.randrange(1, len(data))] + other[generator.randrange(len(other)) :]


def insert(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Put noise between."""
    begin, end = _span(data, generator)
    return data[:begin] + generator.randbytes(end - begin) + data[begin:]


def repeat(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Double a stretch."""
    begin, end = _span(data, generator)
    return data[:end] + data[begin:]


def change_sizes(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Let one to three parts of the container state another size."""
    places = [match.start() - 4 for match in _BOXES.finditer(data)]
    places = places or [match.end() for match in _CHUNKS.finditer(data)]
    places = places or [match.end() for match in _ELEMENTS.finditer(data)]
    places = [place for place in places if 0 <= place <= len(data) - 4] or [4, 16, 40]
    return _overwrite(data, generator, generator.choices(places, k=generator.choice([1, 3])), 4)


def change_header(data: bytes, generator: random.Random, other: bytes) -> bytes:
    """Write extreme numbers into the header."""
    begin = max(data.find(b"moov"), 0)
    end = min(begin + 1500, len(data) - 4)
    places = [generator.randrange(begin, end) for _ in range(generator.choice([1, 4, 12]))]
    return _overwrite(data, generator, places, generator.choice([1, 2, 4]))


def _overwrite(
    data: bytes, generator: random.Random, places: Iterable[int], num_bytes: int
) -> bytes:
    altered = bytearray(data)
    for place in places:
        value = generator.choice([*_EXTREMES, int.from_bytes(data[place : place + 4], "big") + 1])
        low = (value & ((1 << 8 * num_bytes) - 1)).to_bytes(num_bytes, "big")
        altered[place : place + num_bytes] = low
    return bytes(altered)


Alteration = Callable[[bytes, random.Random, bytes], bytes]
ALTERATIONS: tuple[Alteration, ...] = (
    *(flip_bits, truncate, cut_out, blank, swap),
    *(splice, insert, repeat, change_sizes, change_header),
)


def alter(
    originals: Sequence[Original], folder: Path, num_files: int, seed: int
) -> Iterator[Altered]:
    """Write altered files, one at a time, each another one of the originals and alterations."""
    for number in range(num_files):
        generator = random.Random(f"{seed} {number}")
        original = originals[number % len(originals)]
        alteration = ALTERATIONS[(number + number // len(originals)) % len(ALTERATIONS)]
        other = generator.choice(originals).content
        path = folder / f"{number:05d}_{original.name}{original.suffix}"
        path.write_bytes(alteration(original.content, generator, other))
        yield Altered(str(path), original.name, alteration.__name__, original.numbers)
