"""Rows as annotation files list them: columns, with the place of each row for messages.

Annotation file -> **listing** -> manifest. The checks here need places (`file:line`) and are
vectorised: only rows at fault, or of a path that is listed more than once, become Python objects.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.formats.holdout import hold_out
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Columns of equal length, as in the manifest; those that are None are null throughout.

    Args:
        paths: relative to the data root.
        labels: class ids, lists of int32.
        subsets: train, val or test.
        where: gives `file:line` of a row.
        starts: seconds.
        ends: seconds.
        groups: names of groups, such as one scene or person.
        hashes: sha256 of the files, 32 bytes each.
    """

    paths: pa.Array
    labels: pa.ListArray
    subsets: pa.Array
    where: Callable[[int], str]
    starts: pa.Array | None = None
    ends: pa.Array | None = None
    groups: pa.Array | None = None
    hashes: pa.Array | None = None

    @classmethod
    def from_lines(
        cls,
        *,
        paths: Sequence[str],
        labels: Sequence[Sequence[int]],
        subsets: Sequence[str],
        where: Sequence[str] | Callable[[int], str],
        starts: Sequence[float | None] | None = None,
        ends: Sequence[float | None] | None = None,
        groups: Sequence[str | None] | None = None,
    ) -> Listing:
        """Build from Python sequences, for formats of some ten thousand rows."""
        return cls(
            paths=pa.array(paths, pa.string()),
            labels=pa.array(labels, pa.list_(pa.int32())),
            subsets=pa.array(subsets, pa.string()),
            where=where if callable(where) else where.__getitem__,
            starts=None if starts is None else pa.array(starts, pa.float64()),
            ends=None if ends is None else pa.array(ends, pa.float64()),
            groups=None if groups is None else pa.array(groups, pa.string()),
        )

    @classmethod
    def joined(cls, listings: Sequence[Listing]) -> Listing:
        """Return the rows of several listings, one after another."""
        first_rows = np.cumsum([0] + [len(listing) for listing in listings])

        def where(row: int) -> str:
            index = int(np.searchsorted(first_rows, row, side="right")) - 1
            return listings[index].where(row - int(first_rows[index]))

        def column(name: str) -> pa.Array | None:
            parts = [getattr(listing, name) for listing in listings]
            return None if any(part is None for part in parts) else pa.concat_arrays(parts)

        return cls(
            paths=column("paths"),
            labels=column("labels"),
            subsets=column("subsets"),
            where=where,
            starts=column("starts"),
            ends=column("ends"),
            groups=column("groups"),
            hashes=column("hashes"),
        )

    def __len__(self) -> int:
        return len(self.paths)

    def check(
        self, class_names: Sequence[str], *, multi_label: bool, torn_groups_allowed: bool = False
    ) -> None:
        """Refuse rows that contradict each other.

        Args:
            class_names: for the messages.
            multi_label: rows of one video may have different labels; see `merged`.
            torn_groups_allowed: a group may stand in two subsets.

        Raises:
            ConfigError: a row stands twice, a video stands in two subsets, a group stands in two
                subsets, or (unless multi_label) one video has two labels.
        """
        self._check_times()
        if pc.count_distinct(self.paths).as_py() < len(self):
            self._check_repeated(class_names, multi_label)
            self._check_overlap()
        if not torn_groups_allowed:
            self._check_groups()

    def held_out(self, val_fraction: float, test_fraction: float = 0.0) -> Listing:
        """Return the listing with part of its train rows moved to val (and test).

        Raises:
            ConfigError: a subset that was asked for would be empty.
        """
        if not val_fraction and not test_fraction:
            return self
        subsets = self.subsets.to_numpy(zero_copy_only=False).astype("U5")
        rows = np.flatnonzero(subsets == "train")
        chosen = pa.array(rows)
        subsets[rows] = hold_out(
            self.paths.take(chosen),
            self.first_labels()[rows],
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            groups=None if self.groups is None else self.groups.take(chosen),
        )
        return replace(self, subsets=pa.array(subsets, pa.string()))

    def first_labels(self) -> NDArray[np.int64]:
        """Return the first class id of each row, int64 (N,); where there is none, 0."""
        offsets = self.labels.offsets.to_numpy().astype(np.int64)
        flat = self.labels.values.to_numpy(zero_copy_only=False).astype(np.int64)
        flat = np.append(flat, 0)
        empty = offsets[1:] == offsets[:-1]
        first: NDArray[np.int64] = np.where(empty, 0, flat[np.minimum(offsets[:-1], len(flat) - 1)])
        return first

    def manifest(self, class_names: Sequence[str]) -> Manifest:
        """Return the rows as a manifest."""
        return Manifest.from_columns(
            class_names=class_names,
            paths=self.paths,
            labels=self.labels,
            subsets=self.subsets,
            starts=self.starts,
            ends=self.ends,
            groups=self.groups,
            hashes=self.hashes,
        )

    def _key_table(self) -> pa.Table:
        nothing = pa.nulls(len(self), pa.float64())
        return pa.table(
            {
                "path": self.paths,
                "start": nothing if self.starts is None else self.starts,
                "end": nothing if self.ends is None else self.ends,
                "row": pa.array(np.arange(len(self))),
                "subset": self.subsets,
            }
        )

    def _check_times(self) -> None:
        if self.starts is not None:
            negative = pc.indices_nonzero(pc.fill_null(pc.less(self.starts, 0.0), False))
            if len(negative):
                row = negative[0].as_py()
                raise ConfigError(
                    f"{self.where(row)}: start {self.starts[row].as_py():g} s is negative; "
                    "times count in seconds from the video's begin"
                )
        if self.starts is not None and self.ends is not None:
            wrong = pc.indices_nonzero(pc.fill_null(pc.less_equal(self.ends, self.starts), False))
            if len(wrong):
                row = wrong[0].as_py()
                raise ConfigError(
                    f"{self.where(row)}: end {self.ends[row].as_py():g} s is not after start "
                    f"{self.starts[row].as_py():g} s; mend the times"
                )

    def _rows_of_repeated(self) -> list[list[int]]:
        """Return the rows of each (path, start, end) that a subset lists more than once."""
        counted = (
            self._key_table()
            .group_by(["path", "start", "end", "subset"], use_threads=False)
            .aggregate([("row", "count"), ("row", "list")])
        )
        several = counted.filter(pc.greater(counted["row_count"], 1))
        return [sorted(rows) for rows in several["row_list"].to_pylist()]

    def _check_repeated(self, class_names: Sequence[str], multi_label: bool) -> None:
        for rows in sorted(self._rows_of_repeated()):
            first_row: dict[tuple[int, ...], int] = {}
            for row in rows:
                path, labels = self.paths[row].as_py(), tuple(self.labels[row].as_py())
                if labels in first_row:
                    raise ConfigError(
                        f"{self.where(row)}: {path} is listed already at "
                        f"{self.where(first_row[labels])}; delete one of the rows"
                    )
                if first_row and not multi_label:
                    others, other = next(iter(first_row.items()))
                    raise ConfigError(
                        f"{self.where(row)}: {path} has the label {_named(labels, class_names)}, "
                        f"but at {self.where(other)} it has {_named(others, class_names)}; a "
                        "video has one label here, keep the right row"
                    )
                first_row.setdefault(labels, row)

    def merged(self) -> Listing:
        """Return the listing with one row per (path, start, end), holding the labels of all.

        Call `check` first: the row kept gives subset and group.
        """
        repeated = self._rows_of_repeated()
        if not repeated:
            return self
        labels = self.labels.to_pylist()
        for rows in repeated:
            labels[rows[0]] = sorted({label for row in rows for label in labels[row]})
        joined = replace(self, labels=pa.array(labels, pa.list_(pa.int32())))
        return joined._without([row for rows in repeated for row in rows[1:]])

    def first_of_repeated(self) -> Listing:
        """Return the listing with the first row of each (path, start, end); the rest is logged."""
        dropped = [row for rows in self._rows_of_repeated() for row in rows[1:]]
        if not dropped:
            return self
        places = ", ".join(self.where(row) for row in dropped[:5])
        log.warning(
            "%d rows left out, their video and times are listed before: %s%s",
            *(len(dropped), places, ", ..." if len(dropped) > 5 else ""),
        )
        return self._without(dropped)

    def _without(self, dropped: list[int]) -> Listing:
        kept = np.delete(np.arange(len(self)), dropped)
        chosen, where = pa.array(kept), self.where
        starts, ends, groups, hashes = (
            None if column is None else column.take(chosen)
            for column in (self.starts, self.ends, self.groups, self.hashes)
        )
        return Listing(
            paths=self.paths.take(chosen),
            labels=self.labels.take(chosen),
            subsets=self.subsets.take(chosen),
            where=lambda row: where(int(kept[row])),
            starts=starts,
            ends=ends,
            groups=groups,
            hashes=hashes,
        )

    def _check_overlap(self) -> None:
        table = self._key_table()
        counted = table.group_by("path", use_threads=False).aggregate(
            [("subset", "count_distinct"), ("row", "list")]
        )
        torn = counted.filter(pc.greater(counted["subset_count_distinct"], 1))
        for rows in torn["row_list"].to_pylist():
            self._check_disjoint(sorted(rows))

    def _check_disjoint(self, rows: list[int]) -> None:
        """Refuse rows of one path that share time and stand in different subsets."""

        def time(column: pa.Array | None, row: int, otherwise: float) -> float:
            value = None if column is None else column[row].as_py()
            return otherwise if value is None else float(value)

        spans = sorted(
            (time(self.starts, row, 0.0), time(self.ends, row, float("inf")), row) for row in rows
        )
        latest: dict[Any, tuple[float, int]] = {}  # subset: (greatest end so far, its row)
        for start, end, row in spans:
            subset = self.subsets[row].as_py()
            for other, (other_end, other_row) in latest.items():
                if other != subset and start < other_end:
                    raise ConfigError(
                        f"{self.where(row)}: {self.paths[row].as_py()} is in {subset}, but at "
                        f"{self.where(other_row)} in {other}; a video must stand in one subset, "
                        "delete one of the rows"
                    )
            if subset not in latest or end > latest[subset][0]:
                latest[subset] = (end, row)

    def _check_groups(self) -> None:
        if self.groups is None or self.groups.null_count == len(self):
            return
        table = pa.table(
            {"group": self.groups, "subset": self.subsets, "row": pa.array(np.arange(len(self)))}
        )
        table = table.filter(pc.is_valid(table["group"]))
        counted = table.group_by(["group"], use_threads=False).aggregate(
            [("subset", "count_distinct")]
        )
        torn = counted.filter(pc.greater(counted["subset_count_distinct"], 1))
        if not len(torn):
            return
        group = torn["group"][0].as_py()
        rows = table.filter(pc.equal(table["group"], group))
        first_of: dict[str, int] = defaultdict(int)
        for subset, row in zip(rows["subset"].to_pylist(), rows["row"].to_pylist(), strict=True):
            first_of.setdefault(subset, row)
        (one, row), (other, other_row) = list(first_of.items())[:2]
        raise ConfigError(
            f"{self.where(other_row)}: group {group!r} is in {other}, but at {self.where(row)} in "
            f"{one}; a group must stand in one subset, move its rows together"
        )


def _named(labels: Sequence[int], class_names: Sequence[str]) -> str:
    return " and ".join(repr(class_names[label]) for label in labels) or "none"
