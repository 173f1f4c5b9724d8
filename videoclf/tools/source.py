"""The videos that a tool works on: a folder, or the records of a manifest below a root."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from videoclf.data.formats.video_files import videos_below
from videoclf.data.manifest import HASHES, Manifest

_BATCH_ROWS = 10_000


@dataclass(frozen=True, eq=False)
class VideoSource:
    """Where the videos lie and which they are.

    Args:
        root: the data root.
        reader: `frames` where a video is a folder of pictures, else a backend's name.
        manifest: the records; None takes all videos below the root.
    """

    root: Path
    reader: str = "pyav"
    manifest: Manifest | None = None

    def paths(self) -> Iterator[tuple[str, str | None]]:
        """Yield path and subset; a path comes as often as it has records."""
        if self.manifest is None:
            for path in videos_below(self.root, reader=self.reader):
                yield path, None
        else:
            for path, subset in _rows(self.manifest.table, "path", "subset"):
                yield path, subset

    def records(self) -> Iterator[tuple[str, float | None, float | None]]:
        """Yield path, start and end of the records, of which a mere folder has none."""
        if self.manifest is not None:
            yield from _rows(self.manifest.table, "path", "start", "end")

    def expected_hashes(self) -> Iterator[tuple[str, str]]:
        """Yield path and sha256, hexadecimal, where the records give it."""
        if self.manifest is not None and HASHES.name in self.manifest.table.column_names:
            for path, sha256 in _rows(self.manifest.table, "path", HASHES.name):
                if sha256 is not None:
                    yield path, sha256.hex()


def _rows(table: pa.Table, *names: str) -> Iterator[Any]:
    """Yield the values of columns row by row, of which few are Python objects at a time."""
    for batch in table.select(names).to_batches(max_chunksize=_BATCH_ROWS):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
