"""Clip features of a whole manifest: what a model's classifier sees of each view, in one Parquet.

Videos are done in the order of the manifest, and each is noted in a journal when it is done, so
that a stopped extraction goes on where it was; the file appears when all are there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from videoclf.cache import atomic_write
from videoclf.data.datamodule import VideoDataModule
from videoclf.data.manifest import Manifest
from videoclf.errors import DataError
from videoclf.evaluation.views import Views
from videoclf.tools.journal import Journal
from videoclf.types import Batch

SCHEMA = "CREATE TABLE videos (row INTEGER PRIMARY KEY, features BLOB, reason TEXT)"
#: Videos a row group of the file: what is in memory while it is written.
_VIDEOS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """Features of some rows of a manifest.

    Args:
        model: with `features`, its weights loaded, on the device where it runs.
        datamodule: of the data; its test views are what is read.
        rows: of the manifest, int64 (N,), ascending.
        journal: with the table of `SCHEMA`.
        precision: float32 or float16, of the stored numbers.
    """

    model: nn.Module
    datamodule: VideoDataModule
    rows: np.ndarray
    journal: Journal
    precision: str

    def run(self, report: Callable[[int, int, int], None]) -> None:
        """Go through the videos that the journal lacks; unreadable ones are tried again."""
        self.journal.execute("DELETE FROM videos WHERE reason IS NOT NULL")
        noted = {row for (row,) in self.journal.execute("SELECT row FROM videos")}
        left = np.array([row for row in self.rows if int(row) not in noted], dtype=np.int64)
        done, problems = len(noted), 0
        report(done, len(self.rows), problems)
        if not len(left):
            return
        self.model.eval()
        for batch in self.datamodule.rows_dataloader(left):
            values: list[tuple[int, bytes | None, str | None]] = [
                (record.index, None, f"{record.path}: {record.reason}")
                for record in batch.unreadable
            ]
            problems += len(values)
            if len(batch):
                found = self._features(batch).astype(self.precision)  # (B, V, D)
                pairs = zip(batch.indices.tolist(), found, strict=True)
                values += [(row, video.tobytes(), None) for row, video in pairs]
            self.journal.execute_many("INSERT INTO videos VALUES (?, ?, ?)", values)
            self.journal.save_now_and_then()
            done += len(values)
            report(done, len(self.rows), problems)

    def unreadable(self) -> list[str]:
        """Return path and reason of each video that could not be read."""
        return [r for (r,) in self.journal.rows("videos", "reason", "row", "reason IS NOT NULL")]

    def write(self, path: Path, metadata: Mapping[str, Any]) -> int:
        """Write the file, whole or not at all; return its number of rows.

        Columns: `path`, `start`, `end`, `subset`, `label` (int32, or a list of them), `clip` and
        `crop` (int32, from 0), `features` (fixed-size list of D numbers). A row is a view; an
        unreadable video has one row with null `clip`, `crop` and `features`.
        """
        text = {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in metadata.items()
        }
        num_rows = 0
        with atomic_write(path) as temporary:
            writer: pq.ParquetWriter | None = None
            for table in self._tables():
                table = table.replace_schema_metadata(text)
                writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
                writer.write_table(table)
                num_rows += table.num_rows
            if writer is None:
                raise DataError("there are no videos to write features of; choose another subset")
            writer.close()
        return num_rows

    def _features(self, batch: Batch) -> np.ndarray:
        device = next(self.model.parameters()).device
        batch = self.datamodule.transform.on_device(batch.to(device), seed=0, train=False)
        step = self.datamodule.batch_size
        clips = len(batch) * batch.num_views
        with torch.inference_mode():
            pieces = [
                self.model.features(**{k: v[first : first + step] for k, v in batch.inputs.items()})  # type: ignore[operator]
                for first in range(0, clips, step)
            ]
        views = torch.cat(pieces).unflatten(0, (len(batch), batch.num_views))  # (B, V, D)
        found: np.ndarray = views.float().cpu().numpy()
        return found

    def _tables(self) -> Iterator[pa.Table]:
        page: list[tuple[int, bytes | None]] = []
        for row, features in self.journal.rows("videos", "row, features", "row"):
            page.append((row, features))
            if len(page) == _VIDEOS_AT_ONCE:
                yield self._table(page)
                page = []
        if page:
            yield self._table(page)

    def _table(self, page: list[tuple[int, bytes | None]]) -> pa.Table:
        views, width = self.datamodule.views["test"], int(self.model.classifier.in_features)  # type: ignore[union-attr,arg-type]
        counts = [1 if features is None else views.num_views for _, features in page]
        rows = np.repeat([row for row, _ in page], counts)
        seen = np.repeat([features is not None for _, features in page], counts)
        numbers = np.frombuffer(b"".join(f or b"" for _, f in page), dtype=self.precision)
        values = np.zeros((len(rows), width), dtype=self.precision)
        values[seen] = numbers.reshape(-1, width)
        clips, crops = view_numbers(views, int(seen.sum()))
        columns = _records(self.datamodule.manifest, rows)
        missing = pa.array(~seen)
        for name, found in (("clip", clips), ("crop", crops)):
            column = np.zeros(len(rows), dtype=np.int32)
            column[seen] = found
            columns[name] = pa.array(column, mask=~seen)
        flat = pa.array(values.reshape(-1))
        columns["features"] = pa.FixedSizeListArray.from_arrays(flat, width, mask=missing)
        return pa.table(columns)


def view_numbers(views: Views, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return clip and crop of so many views in their order: all crops of clip 0 first."""
    view = np.arange(count) % views.num_views
    return view // views.num_crops, view % views.num_crops


def _records(manifest: Manifest, rows: np.ndarray) -> dict[str, pa.Array]:
    records = [manifest.record(int(row)) for row in rows]
    labels: pa.Array
    if manifest.multi_label:
        labels = pa.array([list(record.labels) for record in records], pa.list_(pa.int32()))
    else:
        labels = pa.array([record.labels[0] if record.labels else None for record in records])
        labels = labels.cast(pa.int32())
    return {
        "path": pa.array([record.path for record in records], pa.string()),
        "start": pa.array([record.start for record in records], pa.float64()),
        "end": pa.array([record.end for record in records], pa.float64()),
        "subset": pa.array([record.subset for record in records], pa.string()),
        "label": labels,
    }
