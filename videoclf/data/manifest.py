"""The manifest: all records of a data set as Arrow columns, with class names and a hash.

It opens memory-mapped: a million rows cost no Python objects, and loader workers share the pages.
The hash covers classes and rows but not the root, so that it names the data wherever they lie.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from videoclf.cache import atomic_write, cache_folder
from videoclf.errors import ConfigError, DataError, StorageError
from videoclf.types import SUBSETS, Record

log = logging.getLogger(__name__)

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

#: Absolute, leading out by "..", holding NUL, or taken for an address (RE2 syntax).
OUTSIDE = r"^/|^\\|(^|/)\.\.(/|$)|\x00|://|^[A-Za-z][A-Za-z0-9+.-]*:\S"


@dataclass(frozen=True, eq=False)
class Manifest:
    """All records, in the order of their rows.

    Args:
        table: columns of `SCHEMA`.
        class_names: by class id.
        file: where it is saved; a saved manifest is pickled as this path, not as its rows.
    """

    table: pa.Table
    class_names: tuple[str, ...]
    file: Path | None = field(default=None, repr=False)

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
        """Build from columns of equal length, Python values or Arrow arrays; absent ones are null.

        Raises:
            ConfigError: class names repeat, or a row is not what a record may be.
        """
        repeated = [name for name, count in Counter(class_names).items() if count > 1]
        if repeated:
            raise ConfigError(
                f"class names repeat: {', '.join(repeated[:5])}; each must stand once"
            )
        path_column = _array(paths, pa.string())
        nothing = pa.nulls(len(path_column))
        columns = [
            path_column,
            _array(labels, pa.list_(pa.int32())),
            _array(subsets, pa.string()),
            _array(nothing if starts is None else starts, pa.float64()),
            _array(nothing if ends is None else ends, pa.float64()),
            _array(nothing if groups is None else groups, pa.string()),
        ]
        manifest = cls(pa.table(columns, schema=SCHEMA), tuple(class_names))
        manifest._check_labels()
        manifest._check_rows()
        return manifest

    def _check_labels(self) -> None:
        flat = pc.list_flatten(self.table["labels"])
        if self.table["labels"].null_count or flat.null_count:
            raise ConfigError("a row has no labels; mend the annotation file")
        if not len(flat):
            return
        bounds = pc.min_max(flat).as_py()
        if bounds["min"] < 0 or bounds["max"] >= len(self.class_names):
            raise ConfigError(
                f"a label is {bounds['min'] if bounds['min'] < 0 else bounds['max']}, but the "
                f"{len(self.class_names)} classes have ids 0 to {len(self.class_names) - 1}; "
                "mend the annotation file or the class list"
            )

    def _check_rows(self) -> None:
        """Check at once what `Record` checks one by one."""
        starts, ends = self.table["start"], self.table["end"]
        for wrong, why in (
            (pc.is_null(self.table["path"]), "has no path"),
            (
                pc.invert(pc.is_in(self.table["subset"], pa.array(SUBSETS))),
                f"has a subset that is none of {', '.join(SUBSETS)}",
            ),
            (pc.invert(pc.is_finite(starts)), "has a start that is no number"),
            (pc.invert(pc.is_finite(ends)), "has an end that is no number"),
            (pc.less(starts, 0.0), "has a negative start"),
            (pc.less_equal(ends, starts), "has an end that is not after its start"),
        ):
            rows = pc.indices_nonzero(pc.fill_null(wrong, False))
            if len(rows):
                row = rows[0].as_py()
                raise ConfigError(
                    f"row {row} {why}: {self.table.slice(row, 1).to_pylist()[0]}; "
                    "mend the annotation file"
                )

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {subset}" for subset, count in self.counts().items())
        return f"Manifest({counts}, {len(self.class_names)} classes, {self.sha256[:12]})"

    def __getstate__(self) -> dict[str, Any]:
        """A saved manifest travels to a loader worker as its path; the worker maps the file."""
        if self.file is None:
            return {"table": self.table, "class_names": self.class_names, "file": None}
        return {"file": self.file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["file"] is not None:
            state = vars(Manifest.open(state["file"]))
        self.__dict__.update(state)

    @cached_property
    def multi_label(self) -> bool:
        """Whether any record carries several labels, or none."""
        lengths = pc.list_value_length(self.table["labels"])
        return bool(pc.any(pc.not_equal(lengths, 1)).as_py())

    @cached_property
    def _columns(self) -> tuple[pa.Array, ...]:
        return tuple(_one_chunk(self.table[name]) for name in SCHEMA.names)

    def record(self, index: int) -> Record:
        """Return one row as a record."""
        path, labels, subset, start, end, group = (column[index] for column in self._columns)
        return Record(
            path=path.as_py(),
            labels=tuple(labels.values.tolist()),
            subset=subset.as_py(),
            start=start.as_py(),
            end=end.as_py(),
            group=group.as_py(),
        )

    def rows(self, subset: str) -> pa.Array:
        """Return the row numbers of a subset, int64, ascending."""
        chosen = pc.indices_nonzero(pc.equal(self.table["subset"], subset))
        return chosen.cast(pa.int64())

    def counts(self) -> dict[str, int]:
        """Return how many records each subset has."""
        return {subset: len(self.rows(subset)) for subset in SUBSETS}

    @cached_property
    def sha256(self) -> str:
        """The hash of class names and rows, hexadecimal.

        It covers values, not Arrow's layout: chunks, offsets into shared buffers, what lies under
        a null, and the version of Arrow leave it as it is.
        """
        digest = hashlib.sha256(json.dumps(self.class_names, ensure_ascii=False).encode())
        for name in SCHEMA.names:
            digest.update(f"\n{name} {len(self)}\n".encode())
            _hash_values(_one_chunk(self.table[name]), digest)
        return digest.hexdigest()

    def save(self) -> Path:
        """Write to the cache folder under its hash, once, and return the file.

        Raises:
            StorageError: the cache folder cannot be written, or its disk is full.
        """
        path = cache_folder() / "manifests" / f"{self.sha256}.arrow"
        if not self._is_saved(path):
            metadata = {"class_names": json.dumps(self.class_names), "sha256": self.sha256}
            schema = SCHEMA.with_metadata(metadata)
            try:
                with (
                    atomic_write(path) as temporary,
                    pa.ipc.new_file(str(temporary), schema) as writer,
                ):
                    # One batch, so that a row is found without a search through chunks.
                    whole = pa.table(list(self._columns), schema=schema)
                    writer.write_table(whole, max_chunksize=max(1, len(self)))
            except OSError as error:
                raise StorageError(
                    f"cannot write the manifest {path} ({self.table.nbytes} bytes): {error}; "
                    "make room, or set VIDEOCLF_CACHE to another folder"
                ) from error
        self.__dict__["file"] = path
        return path

    def _is_saved(self, path: Path) -> bool:
        """Whether the file is there with every bit in its place; a damaged one is written anew."""
        if not path.exists():
            return False
        try:
            saved = Manifest.open(path)
        except DataError:
            return False
        return replace(saved, file=None).sha256 == self.sha256  # a copy hashes what it reads

    @classmethod
    def open(cls, path: str | Path) -> Manifest:
        """Open a saved manifest, memory-mapped.

        Raises:
            DataError: the file is gone or is no manifest.
        """
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
            if not table.schema.equals(SCHEMA):
                raise KeyError(f"columns are {', '.join(table.column_names)}")
            names = json.loads(table.schema.metadata[b"class_names"])
            manifest = cls(table, tuple(names), Path(path).absolute())
            manifest.__dict__["sha256"] = table.schema.metadata[b"sha256"].decode()
        except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"cannot open the manifest {path}: {error}; start the run anew"
            ) from error
        return manifest

    def check_files(self, root: Path, *, allowed: int = 0) -> None:
        """Hold every path against the files below `root`, listing each folder once.

        Args:
            root: folder of the videos.
            allowed: missing files that are logged instead; the reader reports each of them.

        Raises:
            ConfigError: a path is absolute, leads out of the root, is an address or holds NUL.
            DataError: files are missing, or links that lead out of the root; the text gives their
                count and the first ten.
        """
        paths = pc.unique(self.table["path"])
        outside = pc.indices_nonzero(pc.match_substring_regex(paths, OUTSIDE))
        if len(outside):
            raise ConfigError(
                f"path {paths[outside[0].as_py()].as_py()!r} is not inside the data root; "
                "name files relative to data.root, without '..'"
            )
        present, leaving = _list_folders(root, paths)
        missing = paths.filter(pc.invert(pc.is_in(paths, pa.array(present, pa.string()))))
        if 0 < len(missing) <= allowed:
            log.warning(
                "%d of %d videos are missing below %s (%d allowed): %s",
                *(len(missing), len(paths), root, allowed, _first(missing)),
            )
        elif len(missing):
            raise DataError(
                f"{len(missing)} of {len(paths)} videos are missing below {root}: "
                f"{_first(missing)}; check data.root or take them out of the annotation file"
            )
        led_out = paths.filter(pc.is_in(paths, pa.array(leaving, pa.string())))
        if len(led_out):
            raise DataError(
                f"{len(led_out)} of {len(paths)} videos are links that lead out of {root}: "
                f"{_first(led_out)}; copy the files there, or set data.root to where they lead"
            )


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = _one_chunk(values)
    if isinstance(values, pa.Array):
        return values if values.type == kind else values.cast(kind)
    return pa.array(values, kind)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without a copy where it is one already."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _hash_values(column: pa.Array, digest: Any) -> None:
    """Feed a column's values to a hash: which are null, then lengths, then contents."""
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    digest.update(np.packbits(valid, bitorder="little").tobytes())
    if pa.types.is_list(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        digest.update(lengths.to_numpy().astype("<i4").tobytes())
        # Flattening leaves out what lies under a null.
        digest.update(column.flatten().to_numpy(zero_copy_only=False).astype("<i4").tobytes())
    elif pa.types.is_string(column.type):
        column = pc.fill_null(column, "")
        digest.update(pc.binary_length(column).to_numpy().astype("<i4").tobytes())
        _, offsets, data = column.buffers()
        ends = np.frombuffer(offsets, np.int32) if offsets is not None else np.zeros(1, np.int32)
        first, last = ends[column.offset], ends[column.offset + len(column)]
        digest.update(memoryview(data)[first:last] if data is not None else b"")
    else:
        # Adding zero makes of -0.0 the 0.0 that it equals.
        values = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False) + 0.0
        digest.update(values.astype("<f8").tobytes())


def _list_folders(root: Path, paths: pa.Array) -> tuple[list[str], list[str]]:
    """List the folders of the paths: what is there, and what of it leads out of the root."""
    real_root = os.path.realpath(root)
    present: list[str] = []
    leaving: list[str] = []
    for folder in pc.unique(pc.replace_substring_regex(paths, r"[^/]*$", "")).to_pylist():
        try:
            with os.scandir(root / folder) as entries:
                names = [(folder + entry.name, entry.is_symlink()) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            raise DataError(f"cannot list {root / folder}: {error.strerror}; allow it") from error
        present += [path for path, _ in names]
        if not _is_below(root / folder, real_root):
            leaving += [path for path, _ in names]
        else:
            links = [path for path, is_link in names if is_link]
            leaving += [path for path in links if not _is_below(root / path, real_root)]
    return present, leaving


def _is_below(path: Path, real_root: str) -> bool:
    real = os.path.realpath(path)
    return real == real_root or real.startswith(real_root.rstrip(os.sep) + os.sep)


def _first(paths: pa.Array, count: int = 10) -> str:
    return ", ".join(paths[:count].to_pylist()) + (", ..." if len(paths) > count else "")
