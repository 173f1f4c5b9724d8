"""`manifest.csv` of written files: the records of the source, as `data=csv` reads them."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.cache import atomic_write
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError, StorageError
from videoclf.tools.preparing import Preparation

NAME = "manifest.csv"


def check_labels(manifest: Manifest) -> None:
    """Refuse class names that a table cannot hold.

    Raises:
        ConfigError: a name holds the separator of labels, or blanks around it.
    """
    for name in manifest.class_names:
        if "|" in name or name != name.strip() or not name:
            raise ConfigError(
                f"the class name {name!r} cannot stand in a table, where '|' separates labels; "
                "rename the class"
            )


def write_table(preparation: Preparation, *, with_sources: bool = False) -> int:
    """Write the records whose file was written; return how many those are.

    Args:
        preparation: what has been done.
        with_sources: name each record's video, below the source's root, in a column `source`.

    Raises:
        StorageError: the file cannot be written.
    """
    path = preparation.destination / NAME
    label = "labels" if preparation.manifest.multi_label else "label"
    count = 0
    try:
        with (
            atomic_write(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            columns = ["path", label, "subset", "start", "end", "group", "sha256"]
            writer.writerow([*columns, "source"] if with_sources else columns)
            for row, source in _rows(preparation):
                writer.writerow([*row, source] if with_sources else row)
                count += 1
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; make room") from error
    return count


def _rows(preparation: Preparation) -> Iterator[tuple[list[str | float | None], str]]:
    """Yield the columns up to `sha256`, and the path of the record's video."""
    manifest = preparation.manifest
    names, torn = manifest.class_names, _torn_groups(manifest)
    for batch in manifest.table.to_batches(max_chunksize=10_000):
        for record in batch.to_pylist():
            path, start, end = record["path"], record["start"], record["end"]
            target = preparation.names(path, start, end)
            sha256 = preparation.hash_of(target)
            if sha256 is None or not record["labels"]:
                continue
            if preparation.cut:
                start = end = None
            labels = "|".join(names[label] for label in record["labels"])
            group = None if record["group"] in torn else record["group"]
            yield [target, labels, record["subset"], start, end, group, sha256], path


def _torn_groups(manifest: Manifest) -> frozenset[str]:
    """Return groups that official lists put into two subsets, which `data=csv` refuses."""
    table = manifest.table.select(["group", "subset"]).filter(pc.is_valid(manifest.table["group"]))
    counted = table.group_by("group", use_threads=False).aggregate([("subset", "count_distinct")])
    torn: pa.Table = counted.filter(pc.greater(counted["subset_count_distinct"], 1))
    return frozenset(torn["group"].to_pylist())
