"""The manifest: all records of a data set as Arrow columns, with class names and a hash.

It opens memory-mapped: a million rows cost no Python objects, and loader workers share the pages.
The hash covers classes and rows but not the root, so that it names the data wherever they lie.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.cache import atomic_write, cache_folder
from videoclf.data.column_hash import hash_values, one_chunk
from videoclf.errors import ConfigError, DataError, StorageError
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

#: The column that only those manifests have whose annotations give it: sha256 of each file.
HASHES = pa.field("sha256", pa.binary(32))


@dataclass(frozen=True, eq=False)
class Manifest:
    """All records, in the order of their rows.

    Args:
        table: columns of `SCHEMA`, and `HASHES` where known.
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
        hashes: Iterable[bytes | None] | None = None,
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
        table = pa.table(columns, schema=SCHEMA)
        known = None if hashes is None else _array(hashes, HASHES.type)
        if known is not None and known.null_count < len(known):
            table = table.append_column(HASHES, known)
        manifest = cls(table, tuple(class_names))
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
        return tuple(one_chunk(self.table[name]) for name in self.table.column_names)

    def record(self, index: int) -> Record:
        """Return one row as a record."""
        path, labels, subset, start, end, group, *sha256 = (c[index] for c in self._columns)
        return Record(
            path=path.as_py(),
            labels=tuple(labels.values.tolist()),
            subset=subset.as_py(),
            start=start.as_py(),
            end=end.as_py(),
            group=group.as_py(),
            sha256=sha256[0].as_py().hex() if sha256 and sha256[0].is_valid else None,
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
        for name in self.table.column_names:
            digest.update(f"\n{name} {len(self)}\n".encode())
            hash_values(one_chunk(self.table[name]), digest)
        return digest.hexdigest()

    def save(self, folder: Path | None = None) -> Path:
        """Write to the cache folder under its hash, once, and return the file.

        Args:
            folder: another folder, such as that of a run on several machines, each of which may
                have a cache of its own.

        Raises:
            StorageError: the folder cannot be written, or its disk is full.
        """
        path = cache_folder() / "manifests" / f"{self.sha256}.arrow"
        if folder is not None:
            path = folder / "manifest.arrow"
        if not self._is_saved(path):
            metadata = {"class_names": json.dumps(self.class_names), "sha256": self.sha256}
            schema = self.table.schema.with_metadata(metadata)
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
                    f"make room{'' if folder else ', or set VIDEOCLF_CACHE to another folder'}"
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
            if not any(map(table.schema.equals, (SCHEMA, SCHEMA.append(HASHES)))):
                raise KeyError(f"columns are {', '.join(table.column_names)}")
            names = json.loads(table.schema.metadata[b"class_names"])
            manifest = cls(table, tuple(names), Path(path).absolute())
            manifest.__dict__["sha256"] = table.schema.metadata[b"sha256"].decode()
        except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"cannot open the manifest {path}: {error}; start the run anew"
            ) from error
        return manifest


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = one_chunk(values)
    if isinstance(values, pa.Array):
        return values if values.type == kind else values.cast(kind)
    return pa.array(values, kind)
