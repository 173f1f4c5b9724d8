"""The packet index of a video: presentation timestamps and keyframes, without decoded pictures.

It says which frame stands where and from which keyframe it is reached. Building one demuxes the
whole file once (`videoclf.readers.indexing`); the cache here lets later epochs skip that.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import numpy as np

from videoclf.cache import atomic_write, cache_folder
from videoclf.readers.geometry import Orientation

VERSION = 1
_ARRAYS = ("timestamps", "key_timestamps")


@dataclass(frozen=True, eq=False)
class PacketIndex:
    """Where the frames of one video stream stand.

    Attributes:
        container: kind of container, a key of `videoclf.readers.safety.DEMUXERS`.
        codec: FFmpeg's name of the codec, such as "h264".
        stream: number of the video stream in the file.
        num_video_streams: real ones; cover pictures are not counted.
        time_base: seconds of one tick, as (numerator, denominator).
        timestamps: int64 (N,), ticks at which each shown frame is presented, ascending.
        key_timestamps: int64 (K,), presentation ticks of keyframes, ascending.
        decoded: the frames were counted by decoding them, not from the packets alone.
        seekable: frames may be reached from keyframes; otherwise decode from the start and count.
        verifiable: `timestamps` are those that decoded frames carry (otherwise a steady rate).
        edited: an edit list drops some of the packets.
        leading_frames: frames follow a keyframe in the file and precede it on screen (open GOP).
        height: pixels, as decoded, before `orientation`.
        width: pixels, as decoded, before `orientation`.
        rate: frames per second as the header states; `times` tell the real one.
        orientation: how decoded pictures are turned before they are shown.
    """

    container: str
    codec: str
    stream: int
    num_video_streams: int
    time_base: tuple[int, int]
    timestamps: np.ndarray
    key_timestamps: np.ndarray
    decoded: bool
    seekable: bool
    verifiable: bool
    edited: bool
    leading_frames: bool
    height: int
    width: int
    rate: float
    orientation: Orientation

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            array = getattr(self, name)
            if array.ndim != 1 or array.dtype != np.int64:
                raise ValueError(f"{name} must be int64 (N,), not {array.dtype} {array.shape}")
        if len(self.timestamps) == 0:
            raise ValueError("a packet index needs at least one frame")
        if np.any(np.diff(self.timestamps) <= 0):
            raise ValueError("timestamps must be ascending")
        if min(self.time_base) <= 0 or min(self.height, self.width) <= 0:
            raise ValueError("time_base, height and width must be positive")

    @property
    def num_frames(self) -> int:
        """How many frames are shown."""
        return len(self.timestamps)

    @property
    def seconds_per_tick(self) -> Fraction:
        """The time base as a fraction."""
        return Fraction(*self.time_base)

    def times(self) -> np.ndarray:
        """Return float64 (N,): seconds of each frame from the first frame's."""
        numerator, denominator = self.time_base
        ticks = (self.timestamps - self.timestamps[0]).astype(np.float64)
        seconds: np.ndarray = ticks * numerator / denominator
        return seconds

    def save(self, path: Path) -> None:
        """Write the index as `.npz`, atomically.

        Raises:
            OSError: it cannot be written.
        """
        head = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _ARRAYS}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        text = json.dumps({"version": VERSION, **head})
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, head=np.array(text), **arrays)

    @staticmethod
    def load(path: Path) -> PacketIndex:
        """Read an index that `save` wrote.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged, or of another version.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                head = json.loads(str(stored["head"]))
                arrays = {name: stored[name] for name in _ARRAYS}
            if head.pop("version") != VERSION:
                raise ValueError("written by another version")
            head["time_base"] = tuple(head["time_base"])
            head["orientation"] = Orientation(*head["orientation"])
            return PacketIndex(**head, **arrays)
        except (ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
            raise ValueError(f"{path} is no packet index ({error}); delete it") from error
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise ValueError(f"{path} is a damaged packet index ({error}); delete it") from error


def cached_index_path(path: str) -> Path:
    """Return where the index of a video is cached: by its absolute path, size and mtime.

    A file that is replaced or touched gets another place, so an old index is never used for it.

    Raises:
        OSError: the video cannot be examined.
    """
    status = Path(path).stat()
    key = f"{Path(path).absolute()}\0{status.st_size}\0{status.st_mtime_ns}\0{VERSION}"
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:40]
    return cache_folder() / "packet_indexes" / name[:2] / f"{name[2:]}.npz"


def load_cached(path: str) -> PacketIndex | None:
    """Return the cached index of a video, or None where there is none or it is damaged."""
    try:
        return PacketIndex.load(cached_index_path(path))
    except (OSError, ValueError):
        return None


def store_cached(path: str, index: PacketIndex) -> None:
    """Cache the index of a video; a cache that cannot be written is done without."""
    try:
        index.save(cached_index_path(path))
    except OSError:
        # A full disk or a read-only home costs time at the next opening, nothing else.
        return
