"""`data=csv`: a table of your own, `data.annotations=my.csv` (or .tsv, or .parquet).

    path,label,subset
    swim/a.mp4,swimming,train
    swim/b.mp4,swimming,test

Columns: `path` (below `data.root`, or below the table's folder where no root is set) and `label`
are needed; `subset` (train, val, test), `start` and `end` (seconds), `group` and `sha256` (of the
file, 64 hexadecimal digits, as `videoclf prepare` writes it) are optional.
Several labels are separated by "|", in `label` or in a column `labels`; then rows of the same video
are joined to one record.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.formats.annotation_lines import annotation_file, unknown_class
from videoclf.data.formats.annotation_table import (
    AnnotationTable,
    class_ids,
    in_order,
    one_label_each,
    read_table,
)
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError
from videoclf.types import SUBSETS

FORM = "path,label[,subset][,start][,end][,group][,sha256]"


@dataclass(frozen=True, kw_only=True)
class Csv(VideoData):
    """A table with a row per video (or per stretch of one).

    Classes are the labels that occur, sorted, unless `class_names` gives their order.

    Args:
        annotations: the table.
        label_column: name of the column of labels; None takes `label`, else `labels`.
        val_fraction: share of the train rows held out as val where no row is val.
        test_fraction: share held out as test where there is no column `subset`.
    """

    annotations: str | None
    label_column: str | None
    val_fraction: float
    test_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction, self.test_fraction)

    def folder(self) -> Path:
        """Return `root`, or where none is set the folder of the table."""
        if self.root is None and self.annotations is not None:
            return Path(self.annotations).absolute().parent
        return super().folder()

    def manifest(self) -> Manifest:
        """Read the table and hold it against the files below `root`.

        Raises:
            ConfigError: the table is missing, or a row of it is wrong.
            DataError: the root or videos are missing.
        """
        table = read_table(annotation_file(self.annotations, f"a table with columns {FORM}"))
        column = self._label_column(table)
        table.require(["path", column], FORM)
        _check_names(table)
        names = _split_labels(table, column)
        class_names = tuple(self.class_names or in_order(names.flatten()))
        listing = Listing(
            paths=_relative(table, self.folder()),
            labels=_label_ids(table, names, class_names),
            subsets=_subsets(table),
            where=table.where,
            starts=table.floats("start"),
            ends=table.floats("end"),
            groups=table.texts("group"),
            hashes=table.hashes("sha256"),
        )
        val_fraction, test_fraction = self._held_out(table, listing)
        return assemble(
            listing,
            class_names,
            source=table.path,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            multi_label=column == "labels" or len(names.flatten()) > len(names),
        )

    def _label_column(self, table: AnnotationTable) -> str:
        if self.label_column is not None:
            return self.label_column
        return "labels" if "labels" in table.columns and "label" not in table.columns else "label"

    def _held_out(self, table: AnnotationTable, listing: Listing) -> tuple[float, float]:
        """Return the fractions for val and test: what has rows of its own is not held out."""
        if "subset" not in table.columns:
            return self.val_fraction, self.test_fraction
        given = pc.unique(listing.subsets).to_pylist()
        return (0.0 if "val" in given or "train" not in given else self.val_fraction), 0.0


def _check_names(table: AnnotationTable) -> None:
    """Refuse a column that is meant for one of ours but would be passed over."""
    if "split" in table.columns and "subset" not in table.columns:
        raise ConfigError(f"{table.header()}: rename the column 'split' to 'subset'")
    for name in table.columns:
        plain = name.strip().casefold()
        if plain != name and plain in ("subset", "start", "end", "group", "sha256"):
            raise ConfigError(f"{table.header()}: rename the column {name!r} to {plain!r}")


def _split_labels(table: AnnotationTable, column: str) -> pa.ListArray:
    """Return the names of each row's labels, lists of strings."""
    text = table.columns[column]
    if pc.any(pc.match_substring(text, "|")).as_py():
        names = pc.split_pattern(text, "|")
        flat = pc.utf8_trim_whitespace(names.flatten())
        lists = pa.ListArray.from_arrays(names.offsets, flat)
    else:
        flat = pc.utf8_trim_whitespace(text)
        lists = one_label_each(flat)
    empty = pc.indices_nonzero(pc.equal(flat, ""))
    if len(empty):
        row = pc.list_parent_indices(lists)[empty[0].as_py()].as_py()
        raise ConfigError(
            f"{table.where(row)}: {column} {text[row].as_py()!r} holds an empty label; "
            "write a class name"
        )
    return lists


def _label_ids(
    table: AnnotationTable, names: pa.ListArray, class_names: tuple[str, ...]
) -> pa.ListArray:
    flat = names.flatten()
    ids = class_ids(flat, class_names)
    if ids.null_count:
        place = pc.indices_nonzero(pc.is_null(ids))[0].as_py()
        row = pc.list_parent_indices(names)[place].as_py()
        raise unknown_class(table.where(row), flat[place].as_py(), class_names)
    return pa.ListArray.from_arrays(names.offsets, ids)


def _relative(table: AnnotationTable, root: Path) -> pa.Array:
    """Return the paths below the root; absolute ones that lie there lose its name."""
    paths = table.columns["path"]
    empty = pc.indices_nonzero(pc.equal(pc.utf8_trim_whitespace(paths), ""))
    if len(empty):
        raise ConfigError(f"{table.where(empty[0].as_py())}: the path is empty; name a video")
    prefix = root.absolute().as_posix().rstrip("/") + "/"
    inside = pc.starts_with(paths, prefix)
    paths = pc.if_else(inside, pc.utf8_slice_codeunits(paths, start=len(prefix)), paths)
    outside = pc.indices_nonzero(pc.starts_with(paths, "/"))
    if len(outside):
        row = outside[0].as_py()
        absolute = paths.take(outside).to_pylist()
        common = os.path.commonpath([path.rpartition("/")[0] or "/" for path in absolute])
        raise ConfigError(
            f"{table.where(row)}: {paths[row].as_py()} is not below {root}; "
            f"set data.root={common} or write paths relative to data.root"
        )
    return paths


def _subsets(table: AnnotationTable) -> pa.Array:
    if "subset" not in table.columns:
        return pa.repeat("train", len(table))
    subsets = pc.utf8_trim_whitespace(table.columns["subset"])
    wrong = pc.indices_nonzero(pc.invert(pc.is_in(subsets, pa.array(SUBSETS))))
    if len(wrong):
        row = wrong[0].as_py()
        value = subsets[row].as_py()
        near = [subset for subset in SUBSETS if value.casefold().startswith(subset)]
        remedy = f"did you mean {near[0]!r}?" if near else "mend it"
        raise ConfigError(
            f"{table.where(row)}: subset {value!r} is none of train, val, test; {remedy}"
        )
    return subsets
