"""Small files that are read again and again: decoded once, then a picture file in memory.

The frames of a file are kept as they are, uint8 (T, H, W, 3), in the cache folder, and mapped into
memory: reading a clip then costs no more than copying it. It is for drawn and other tiny videos; a
minute of 640 x 480 takes 1.7 GB.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from videoclf.cache import atomic_write, cache_folder
from videoclf.errors import UnreadableVideoError
from videoclf.readers.geometry import checked_indices
from videoclf.readers.pyav import PyavReader
from videoclf.readers.safety import file_status

if TYPE_CHECKING:
    from typing_extensions import Self

#: A file whose frames take more is refused: it would fill the disk.
MAX_BYTES = 256 * 2**20
#: Mappings that a process keeps open; a clip then costs no system call but `stat`.
MAX_MAPPED = 8192


class DecodedReader:
    """Read frames that `PyavReader` has decoded before; see `videoclf.readers.Reader`.

    Args:
        path: of a video.

    Raises:
        UnreadableVideoError: pyav cannot read it, or its frames take more than `MAX_BYTES`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        status = file_status(path)
        self._frames, self.fps, self.times = _mapped(path, status.st_size, status.st_mtime_ns)
        self.num_frames, self.height, self.width = self._frames.shape[:3]

    def frames(self, indices: np.ndarray, *, short_side: int | None = None) -> np.ndarray:
        """Copy frames; of another size than the file's they are decoded anew.

        Args:
            indices: int64 (N,), in any order, repeats allowed.
            short_side: see `videoclf.readers.Reader`.

        Returns:
            uint8 (N, H, W, 3), RGB, in the order of `indices`.

        Raises:
            IndexError: an index outside [0, num_frames).
        """
        if short_side is not None and short_side != min(self.height, self.width):
            with PyavReader(self.path) as reader:
                return reader.frames(indices, short_side=short_side)
        return np.asarray(self._frames[checked_indices(indices, self.num_frames)])

    def close(self) -> None:
        """Nothing to do: the mapping ends with the last array that shares it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


@lru_cache(maxsize=MAX_MAPPED)
def _mapped(path: str, size: int, modified_ns: int) -> tuple[np.ndarray, float, np.ndarray]:
    """Return frames uint8 (T, H, W, 3), frames a second, times; of a file as it is now."""
    identity = f"{os.path.realpath(path)} {size} {modified_ns}"
    name = hashlib.sha256(identity.encode()).hexdigest()
    kept = cache_folder() / "decoded" / name[:2] / f"{name[2:]}.npy"
    if not kept.is_file():
        _keep(path, kept)
    frames = np.load(kept, mmap_mode="r")
    about = json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))
    return frames, float(about["fps"]), np.array(about["times"], np.float64)


def _keep(path: str, kept: Path) -> None:
    """Decode a file and write its frames, and beside them its times."""
    with PyavReader(path) as reader:
        size = 3 * reader.num_frames * reader.height * reader.width
        if size > MAX_BYTES:
            raise UnreadableVideoError(
                path,
                f"takes {size / 2**20:.0f} MB decoded, more than the {MAX_BYTES / 2**20:.0f} that "
                "data.reader=decoded keeps of a file; use data.reader=pyav",
            )
        frames = reader.frames(np.arange(reader.num_frames))
        about = {"fps": reader.fps, "times": reader.times.tolist()}
    with atomic_write(kept.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about), encoding="utf-8")
    with atomic_write(kept) as temporary, temporary.open("wb") as file:
        np.save(cast("BinaryIO", file), frames)
