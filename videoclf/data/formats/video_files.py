"""Find the video files below a folder, and those that lists name by a bare id.

Downloads of one data set lie in many ways: flat, in class folders, below train/ and val/, as .mp4
or .mkv. Where a list holds ids, the file is the one whose name without its ending is the id.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.errors import DataError

#: In any case of letters; files with other names can be listed by `data=csv`.
VIDEO_EXTENSIONS = (
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)


def videos_below(folder: Path, prefix: str = "") -> Iterator[str]:
    """Yield the videos in a folder and below it, sorted, relative and with forward slashes.

    Hidden files and folders are left out. Links to folders are followed once.

    Args:
        folder: where to look; where it does not exist, nothing is found.
        prefix: put before each path.
    """
    yield from _walk(folder, prefix, frozenset())


def _walk(folder: Path, prefix: str, linked: frozenset[str]) -> Iterator[str]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        visible = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    for entry in visible:
        if not entry.is_dir():
            if entry.name.lower().endswith(VIDEO_EXTENSIONS):
                yield prefix + entry.name
            continue
        below = linked
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if real in linked or os.path.realpath(folder).startswith(real + os.sep):
                continue  # a link to a folder above itself has no end
            below = linked | {real}
        yield from _walk(folder / entry.name, f"{prefix}{entry.name}/", below)


class VideoIndex:
    """The videos below a root, by their names without ending."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = pa.array(videos_below(root), pa.string())
        self.stems = pc.replace_substring_regex(self.paths, r"^.*/|\.[^.]*$", "")

    def find(self, stems: pa.Array) -> pa.Array:
        """Return the path of each stem, null where there is no such file.

        Raises:
            DataError: a stem that is asked for belongs to two files.
        """
        counts = pc.value_counts(self.stems)
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        asked = twice.filter(pc.is_in(twice, stems))
        if len(asked):
            both = self.paths.filter(pc.equal(self.stems, asked[0])).to_pylist()
            raise DataError(
                f"{asked[0].as_py()} is found {len(both)} times below {self.root}: "
                f"{', '.join(both[:5])}; keep one"
            )
        return self.paths.take(pc.index_in(stems, self.stems))
