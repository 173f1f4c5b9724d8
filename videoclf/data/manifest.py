"""The manifest: all records of a data set as Arrow columns, with class names and a hash.

It opens memory-mapped: a million rows cost no Python objects, and loader workers share the pages.
The hash covers classes and rows but not the root, so that it names the data wherever they lie.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.cache import atomic_write, cache_folder
from videoclf.errors import ConfigError, DataError
from videoclf.types import SUBSETS, Record

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("labels", pa.list_(pa.int32())),
        ("subset", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("group", pa.string()),
    ]
)


@dataclass(frozen=True)
class Manifest:
    """All records, in the order of their rows.

    Args:
        table: columns of `SCHEMA`.
        class_names: by class id.
    """

    table: pa.Table
    class_names: tuple[str, ...]

    @classmethod
    def from_columns(
        cls,
        *,
        class_names: Sequence[str],
        paths: Iterable[str],
        labels: Iterable[Sequence[int]],
        subsets: Iterable[str],
        starts: Iterable[float | None] | None = None,
        ends: Iterable[float | None] | None = None,
        groups: Iterable[str | None] | None = None,
    ) -> Manifest:
        """Build from columns of equal length; those not given are null.

        Raises:
            ConfigError: class names repeat, or a label is outside the classes.
        """
        repeated = [name for name, count in Counter(class_names).items() if count > 1]
        if repeated:
            raise ConfigError(f"class names repeat: {', '.join(repeated[:5])}; each must stand once")
        path_column = pa.array(paths, pa.string())
        empty = [None] * len(path_column)
        columns = [
            path_column,
            pa.array(labels, pa.list_(pa.int32())),
            pa.array(subsets, pa.string()),
            pa.array(empty if starts is None else starts, pa.float64()),
            pa.array(empty if ends is None else ends, pa.float64()),
            pa.array(empty if groups is None else groups, pa.string()),
        ]
        manifest = cls(pa.table(columns, schema=SCHEMA).combine_chunks(), tuple(class_names))
        manifest._check_labels()
        return manifest

    def _check_labels(self) -> None:
        flat = pc.list_flatten(self.table["labels"])
        if not len(flat):
            return
        bounds = pc.min_max(flat).as_py()
        if bounds["min"] < 0 or bounds["max"] >= len(self.class_names):
            raise ConfigError(
                f"a label is {bounds['min'] if bounds['min'] < 0 else bounds['max']}, but the "
                f"{len(self.class_names)} classes have ids 0 to {len(self.class_names) - 1}; "
                "mend the annotation file or the class list"
            )

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def record(self, index: int) -> Record:
        """Return one row as a record."""
        row = self.table.slice(index, 1).to_pylist()[0]
        return Record(**{**row, "labels": tuple(row["labels"])})

    def rows(self, subset: str) -> pa.Array:
        """Return the row numbers of a subset, int64, ascending."""
        chosen = pc.indices_nonzero(pc.equal(self.table["subset"], subset))
        return chosen.cast(pa.int64())

    def counts(self) -> dict[str, int]:
        """Return how many records each subset has."""
        return {subset: len(self.rows(subset)) for subset in SUBSETS}

    @cached_property
    def sha256(self) -> str:
        """The hash of class names and rows, hexadecimal."""
        digest = hashlib.sha256(json.dumps(self.class_names, ensure_ascii=False).encode())
        sink = pa.BufferOutputStream()
        plain = self.table.combine_chunks().replace_schema_metadata(None)
        with pa.ipc.new_stream(sink, SCHEMA) as writer:
            writer.write_table(plain.cast(SCHEMA), max_chunksize=max(1, len(self)))
        digest.update(sink.getvalue())
        return digest.hexdigest()

    def save(self) -> Path:
        """Write to the cache folder under its hash, once, and return the file."""
        path = cache_folder() / "manifests" / f"{self.sha256}.arrow"
        if not path.exists():
            metadata = {"class_names": json.dumps(self.class_names), "sha256": self.sha256}
            with atomic_write(path) as temporary:
                schema = SCHEMA.with_metadata(metadata)
                with pa.ipc.new_file(str(temporary), schema) as writer:
                    writer.write_table(self.table.cast(schema))
        return path

    @classmethod
    def open(cls, path: str | Path) -> Manifest:
        """Open a saved manifest, memory-mapped.

        Raises:
            DataError: the file is gone or is no manifest.
        """
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            manifest = cls(table, tuple(json.loads(table.schema.metadata[b"class_names"])))
            manifest.__dict__["sha256"] = table.schema.metadata[b"sha256"].decode()
        except (OSError, pa.ArrowInvalid, KeyError, TypeError) as error:
            raise DataError(f"cannot open the manifest {path}: {error}; start the run anew") from error
        return manifest

    def check_files(self, root: Path) -> None:
        """Hold every path against the files below `root`, listing each folder once.

        Raises:
            ConfigError: a path is absolute, leads out of the root or holds a NUL byte.
            DataError: files are missing; the text gives their count and the first ten.
        """
        paths = pc.unique(self.table["path"]).to_pylist()
        listed: dict[str, set[str]] = {}
        missing = []
        for path in paths:
            if path.startswith("/") or ".." in path.split("/") or "\0" in path or "://" in path:
                raise ConfigError(
                    f"path {path!r} is not inside the data root; "
                    "name files relative to data.root, without '..'"
                )
            folder, _, name = path.rpartition("/")
            if folder not in listed:
                try:
                    with os.scandir(root / folder) as entries:
                        listed[folder] = {entry.name for entry in entries}
                except (FileNotFoundError, NotADirectoryError):
                    listed[folder] = set()
            if name not in listed[folder]:
                missing.append(path)
        if missing:
            shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
            raise DataError(
                f"{len(missing)} of {len(paths)} videos are missing below {root}: {shown}; "
                "check data.root or take them out of the annotation file"
            )
