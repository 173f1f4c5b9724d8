"""Find the video files below a folder, and those that lists name by a bare id.

Downloads of one data set lie in many ways: flat, in class folders, below train/ and val/, as .mp4
or .mkv. Where a list holds ids, the file is the one whose name without its ending is the id.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.errors import DataError

#: In any case of letters; files with other names can be listed by `data=csv`.
VIDEO_EXTENSIONS = (
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)


PICTURE_EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def videos_below(folder: Path, prefix: str = "", *, reader: str = "pyav") -> Iterator[str]:
    """Yield the videos in a folder and below it, sorted, relative and with forward slashes.

    Hidden files and folders are left out. Links to folders are followed, but not round in circles.

    Args:
        folder: where to look; where it does not exist, nothing is found.
        prefix: put before each path, such as "swimming/".
        reader: "frames" looks for folders that hold pictures, any other for video files.
    """
    yield from _walk(folder, prefix, reader == "frames", frozenset())


def _walk(folder: Path, prefix: str, of_frames: bool, linked: frozenset[str]) -> Iterator[str]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    for entry in visible:
        if not entry.is_dir():
            if not of_frames and entry.name.lower().endswith(VIDEO_EXTENSIONS):
                yield prefix + entry.name
            continue
        below = linked
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if real in linked or f"{os.path.realpath(folder)}{os.sep}".startswith(real + os.sep):
                continue
            below = linked | {real}
        inner = folder / entry.name
        if of_frames and _holds_pictures(inner):
            yield prefix + entry.name
        else:
            yield from _walk(inner, f"{prefix}{entry.name}/", of_frames, below)


def _holds_pictures(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.lower().endswith(PICTURE_EXTENSIONS) for entry in entries)


class VideoIndex:
    """The videos below a root, by their names without ending.

    Args:
        root: folder of the videos.
        reader: as configured; "frames" reads folders of frames, which are named by the ids alone.
    """

    def __init__(self, root: Path, reader: str) -> None:
        self.root = root
        self.reads_folders = reader == "frames"

    @cached_property
    def paths(self) -> pa.Array:
        """All videos below the root."""
        return pa.array(videos_below(self.root), pa.string())

    @cached_property
    def stems(self) -> pa.Array:
        """The name of each video without folders and ending."""
        return pc.replace_substring_regex(self.paths, r"^.*/|\.[^.]*$", "")

    def paths_of(self, ids: pa.Array, expected: pa.Array) -> pa.Array:
        """Return the path of each id; where there is no such file, the one expected.

        Raises:
            DataError: an id that is asked for belongs to two files.
        """
        return ids if self.reads_folders else pc.coalesce(self.find(ids), expected)

    def find(self, ids: pa.Array) -> pa.Array:
        """Return the path of each id, null where there is no such file.

        Raises:
            DataError: an id that is asked for belongs to two files.
        """
        counts = pc.value_counts(self.stems)
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        asked = twice.filter(pc.is_in(twice, ids))
        if len(asked):
            both = self.paths.filter(pc.equal(self.stems, asked[0])).to_pylist()
            raise DataError(
                f"{asked[0].as_py()} is found {len(both)} times below {self.root}: "
                f"{', '.join(both[:5])}; keep one"
            )
        return self.paths.take(pc.index_in(ids, self.stems))


def with_extension(names: pa.Array, extension: str) -> pa.Array:
    """Return file names with an ending."""
    return pc.binary_join_element_wise(names, extension, "")
