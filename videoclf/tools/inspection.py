"""Look at one video as thoroughly as training would, and at its content: what `check` does a file.

It runs in a process of its own, which is killed where a file takes too long.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from videoclf.errors import UnreadableVideoError
from videoclf.readers.content import hash_content, hash_file
from videoclf.readers.frames import FramesReader
from videoclf.readers.indexed import IndexedReader
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.pyav import PyavReader
from videoclf.readers.safety import container_kind, file_status
from videoclf.tools.decoding import Decoded, decode_whole, index_and_decode


@dataclass(frozen=True)
class Inspection:
    """What was found out about one file; None is what could not be.

    Args:
        path: relative to the data root.
        bytes: size of the file.
        modified: time of its last change, in nanoseconds.
        sha256: of its content, hexadecimal.
        container: kind of container.
        codec: of the video stream.
        width: pixels, as shown.
        height: pixels, as shown.
        fps: frames per second, over the presentation times.
        num_frames: frames that can be read.
        last_seconds: time of the last frame, from the first.
        problem: missing, unreadable, damaged, frame count; None where the file is sound.
        detail: a clause that explains the problem.
    """

    path: str
    bytes: int | None = None
    modified: int | None = None
    sha256: str | None = None
    container: str | None = None
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    num_frames: int | None = None
    last_seconds: float | None = None
    problem: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Inspector:
    """The work on one path; a value that travels to the processes of a pool.

    Args:
        root: the data root; nothing outside it is opened.
        quick: read headers and packets and decode only where the packets do not tell the frames.
        folders: the videos are folders of pictures.
    """

    root: str
    quick: bool
    folders: bool = False

    def __call__(self, path: str) -> Inspection:
        """Inspect the file `path`, relative to the root."""
        full = str(Path(self.root, path))
        found = Inspection(path)
        try:
            if not os.path.lexists(full):
                return replace(found, problem="missing", detail="is not there")
            size, modified = file_state(full)
            found = replace(found, bytes=size, modified=modified)
            _check_inside(full, self.root)
            if self.folders:
                return self._inspect_pictures(full, found)
            file_status(full)
            found = replace(found, sha256=hash_file(full))  # of what is no video too: it may change
            kind = container_kind(full)
            index, decoded = index_and_decode(full, kind)
            with PyavReader(full, index, cache=False) as reader:
                found = _with_facts(found, reader)
            if self.quick:
                return found
            return _compared(found, decoded or decode_whole(full, kind), index)
        except UnreadableVideoError as error:
            return replace(found, problem="unreadable", detail=error.reason)

    def _inspect_pictures(self, folder: str, found: Inspection) -> Inspection:
        with FramesReader(folder) as reader:
            if not self.quick:
                for number in range(reader.num_frames):
                    reader.frames(np.array([number]), short_side=16)
            return replace(
                found,
                sha256=hash_content(folder),
                container="folder",
                width=reader.width,
                height=reader.height,
                num_frames=reader.num_frames,
            )


def file_state(path: str | Path) -> tuple[int | None, int | None]:
    """Return size and time of change of a file; None for both where it cannot be examined."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None, None
    return status.st_size, status.st_mtime_ns


def _check_inside(path: str, root: str) -> None:
    """Refuse a link that leads out of the data root, as training does."""
    real, real_root = os.path.realpath(path), os.path.realpath(root)
    if not real.startswith(real_root.rstrip(os.sep) + os.sep):
        raise UnreadableVideoError(path, "is a link that leads out of the data root")


def _with_facts(found: Inspection, reader: IndexedReader) -> Inspection:
    return replace(
        found,
        container=reader.index.container,
        codec=reader.index.codec,
        width=reader.width,
        height=reader.height,
        fps=round(reader.fps, 3),
        num_frames=reader.num_frames,
        last_seconds=round(float(reader.times[-1]), 6),
    )


def _compared(found: Inspection, decoded: Decoded, index: PacketIndex) -> Inspection:
    """Hold what decoding gave against what header and packets promise."""
    listed = index.num_frames
    if decoded.error is not None:
        where = f"stops at frame {decoded.num_frames} of {listed} ({decoded.error})"
        return replace(found, problem="damaged", detail=where)
    if decoded.num_damaged:
        first = decoded.first_damaged
        many = f"{decoded.num_damaged} of {listed} frames are damaged, the first is {first}"
        return replace(found, problem="damaged", detail=many)
    # an edit list shows only a part of what the header counts
    stated = decoded.stated_frames if not index.edited else None
    promised = listed if stated is None or decoded.num_frames != listed else stated
    if promised != decoded.num_frames:
        wrong = f"the container says {promised}, {decoded.num_frames} decode"
        return replace(found, problem="frame count", detail=wrong)
    return found
