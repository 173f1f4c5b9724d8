"""`predictions.parquet`: one row a video, keyed by (path, start, end), with every probability.

Videos that could not be evaluated have a row too, with null probabilities: what was listed can
be told from what was available.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from videoclf.cache import atomic_write
from videoclf.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The rows of a subset, in the order of the manifest.

    Args:
        paths: relative to the data root, (N,).
        starts: seconds, None where the whole file is meant, (N,).
        ends: seconds, half open, (N,).
        labels: class ids; one each, or any number for multi-label data, none if unlabelled, (N,).
        probabilities: float32 (N, K); the rows of missing videos are ignored.
        available: bool (N,), False where the video could not be evaluated.
        class_names: by class id, (K,).
        protocol: how the views were drawn and averaged; as in `Results.protocol`.
        manifest_sha256: hash of the manifest.
        multi_label: the labels are sets; stored as lists.
        view_probabilities: float32 (N, V, K), each view's own, on request.
        groups: names of the records' groups, None where one has none; (N,), or None if unknown.
        seconds: length of each record, float32 (N,), NaN where missing; None if unknown.
        motion: mean absolute difference of successive frames, in [0, 1]; likewise.
        ranks: int32 (N, clips), how many classes come before the true one after the first 1, 2,
            ... clips; -1 where missing; None if unknown.
    """

    paths: Sequence[str]
    starts: Sequence[float | None]
    ends: Sequence[float | None]
    labels: Sequence[Sequence[int]]
    probabilities: np.ndarray
    available: np.ndarray
    class_names: tuple[str, ...]
    protocol: Mapping[str, Any]
    manifest_sha256: str
    multi_label: bool = False
    view_probabilities: np.ndarray | None = None
    groups: Sequence[str | None] | None = None
    seconds: np.ndarray | None = None
    motion: np.ndarray | None = None
    ranks: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.paths), len(self.class_names))
        if self.probabilities.shape != shape:
            raise ValueError(f"probabilities are {self.probabilities.shape}, expected {shape}")
        columns = (self.starts, self.ends, self.labels, self.available)
        optional = (self.groups, self.seconds, self.motion, self.ranks)
        lengths = {len(column) for column in (*columns, *optional) if column is not None}
        lengths.add(len(self.paths))
        if len(lengths) != 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        if not self.multi_label and any(len(labels) > 1 for labels in self.labels):
            raise ValueError("a video has several labels, but multi_label is False")

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def group_keys(self) -> Sequence[str | None]:
        """The group of each video; None, for a group of its own, where it has none."""
        return self.groups if self.groups is not None else [None] * len(self)

    def taken(self, rows: np.ndarray) -> Predictions:
        """Return some of the rows, int64 (M,), in that order."""

        def lines(column: Sequence[Any]) -> list[Any]:
            return [column[int(row)] for row in rows]

        def values(column: np.ndarray | None) -> np.ndarray | None:
            return None if column is None else column[rows]

        return replace(
            self,
            paths=lines(self.paths),
            starts=lines(self.starts),
            ends=lines(self.ends),
            labels=lines(self.labels),
            probabilities=self.probabilities[rows],
            available=np.asarray(self.available)[rows],
            view_probabilities=values(self.view_probabilities),
            groups=None if self.groups is None else lines(self.groups),
            seconds=values(self.seconds),
            motion=values(self.motion),
            ranks=values(self.ranks),
        )


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write as Parquet, whole or not at all.

    Columns: `path`, `start`, `end`, `label` (int32, or a list of them), `probabilities`
    (fixed-size list of K float32, null where missing), as far as they are known `group`,
    `seconds`, `motion` and `ranks` (fixed-size list of int32), and, on request,
    `view_probabilities` (list of lists as of `probabilities`).
    """
    missing = ~np.asarray(predictions.available, dtype=bool)
    if predictions.multi_label:
        labels = pa.array([list(row) for row in predictions.labels], pa.list_(pa.int32()))
    else:
        labels = pa.array([row[0] if len(row) else None for row in predictions.labels], pa.int32())
    columns = {
        "path": pa.array(list(predictions.paths), pa.string()),
        "start": pa.array(list(predictions.starts), pa.float64()),
        "end": pa.array(list(predictions.ends), pa.float64()),
        "label": labels,
        "probabilities": _fixed_size_lists(predictions.probabilities, missing),
    }
    if predictions.groups is not None:
        columns["group"] = pa.array(list(predictions.groups), pa.string())
    for name, values in (("seconds", predictions.seconds), ("motion", predictions.motion)):
        if values is not None:
            columns[name] = pa.array(values, pa.float32(), mask=np.isnan(values))
    if predictions.ranks is not None:
        columns["ranks"] = _fixed_size_lists(predictions.ranks, missing, np.int32)
    if predictions.view_probabilities is not None:
        columns["view_probabilities"] = _view_lists(predictions.view_probabilities, missing)
    metadata = {
        "class_names": json.dumps(predictions.class_names, ensure_ascii=False),
        "protocol": json.dumps(dict(predictions.protocol), ensure_ascii=False),
        "manifest_sha256": predictions.manifest_sha256,
    }
    table = pa.table(columns).replace_schema_metadata(metadata)
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _fixed_size_lists(
    rows: np.ndarray, missing: np.ndarray, dtype: type[np.generic] = np.float32
) -> pa.Array:
    """Turn (N, K) into N lists of K without a Python object per number."""
    flat = pa.array(np.ascontiguousarray(rows, dtype=dtype).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1], mask=pa.array(missing))


def _view_lists(views: np.ndarray, missing: np.ndarray) -> pa.Array:
    num_videos, num_views, num_classes = views.shape
    none_missing = np.zeros(num_videos * num_views, dtype=bool)
    inner = _fixed_size_lists(views.reshape(-1, num_classes), none_missing)
    offsets = pa.array(np.arange(0, (num_videos + 1) * num_views, num_views, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, inner, mask=pa.array(missing))


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote; probabilities of missing videos are NaN.

    Raises:
        DataError: the file is missing or is no such table.
    """
    try:
        table = pq.read_table(path).combine_chunks()
        metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        class_names = tuple(json.loads(metadata["class_names"]))
        multi_label = pa.types.is_list(table["label"].type)
        labels = table["label"].to_pylist()
        available = ~np.asarray(table["probabilities"].is_null(), dtype=bool)
        return Predictions(
            paths=table["path"].to_pylist(),
            starts=table["start"].to_pylist(),
            ends=table["end"].to_pylist(),
            labels=[tuple(row or ()) if multi_label else _one(row) for row in labels],
            probabilities=_filled(table["probabilities"], available, (len(class_names),)),
            available=available,
            class_names=class_names,
            protocol=json.loads(metadata["protocol"]),
            manifest_sha256=metadata["manifest_sha256"],
            multi_label=multi_label,
            view_probabilities=_read_views(table, available, len(class_names)),
            groups=table["group"].to_pylist() if "group" in table.column_names else None,
            seconds=_read_numbers(table, "seconds"),
            motion=_read_numbers(table, "motion"),
            ranks=_read_ranks(table, available),
        )
    except (OSError, pa.ArrowInvalid, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"cannot read the predictions {path}: {error}; evaluate the run again"
        ) from error


def _one(label: int | None) -> tuple[int, ...]:
    return () if label is None else (label,)


def _filled(column: Any, available: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return float32 (N, *shape) of a list column, NaN where it is null."""
    rows = np.full((len(available), *shape), np.nan, dtype=np.float32)
    values = column.drop_null().combine_chunks()
    while not pa.types.is_floating(values.type):
        values = values.flatten()
    rows[available] = np.asarray(values, dtype=np.float32).reshape(-1, *shape)
    return rows


def _read_views(table: Any, available: np.ndarray, num_classes: int) -> np.ndarray | None:
    if "view_probabilities" not in table.column_names or not available.any():
        return None
    column = table["view_probabilities"]
    num_views = len(column.drop_null()[0])
    return _filled(column, available, (num_views, num_classes))


def _read_numbers(table: Any, name: str) -> np.ndarray | None:
    if name not in table.column_names:
        return None
    return np.asarray(table[name].to_numpy(), dtype=np.float32)  # null becomes NaN


def _read_ranks(table: Any, available: np.ndarray) -> np.ndarray | None:
    if "ranks" not in table.column_names:
        return None
    column = table["ranks"].combine_chunks()
    ranks = np.full((len(column), column.type.list_size), -1, dtype=np.int32)
    ranks[available] = np.asarray(column.drop_null().flatten()).reshape(-1, ranks.shape[1])
    return ranks
