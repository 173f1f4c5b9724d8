"""The videos that a cascade's next member is asked about: a list that is handed on, and a manifest.

Written by a process that knows torch, read by the one that composes the next member's evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from videoclf.cache import atomic_write
from videoclf.data.manifest import Manifest

#: The list's file in the run folder of an ensemble.
ASKED = "asked.json"
#: What names a video: path, start and end.
Record = tuple[str, float | None, float | None]


def write_asked(path: Path, records: Sequence[Record]) -> None:
    """Write the records as JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(records, ensure_ascii=False) + "\n", encoding="utf-8")


def read_asked(path: Path) -> list[Record]:
    """Read what `write_asked` wrote."""
    return [(name, start, end) for name, start, end in json.loads(path.read_text("utf-8"))]


def narrowed(manifest: Manifest, subset: str, records: Sequence[Record]) -> Manifest:
    """Return a manifest that lists these records of a subset, in its own order, and nothing else.

    So whatever holds for the videos of a list, such as that none may be lost, holds for these.
    """
    wanted = set(records)
    rows = manifest.rows(subset).to_numpy(zero_copy_only=False)
    table = manifest.table.take(rows)
    keys = zip(*(table[name].to_pylist() for name in ("path", "start", "end")), strict=True)
    chosen = np.array([key in wanted for key in keys], dtype=bool)
    return Manifest(table.filter(pa.array(chosen)).combine_chunks(), manifest.class_names)
