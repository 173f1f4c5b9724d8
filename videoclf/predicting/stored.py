"""Predictions of many videos as one Parquet file, noted one by one so that a stop costs nothing.

The columns are those of an evaluation's `predictions.parquet`. Each video is noted in a journal
when it is done; the file appears when all are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from videoclf.predicting.listing import Listed, single_labels
from videoclf.predicting.predictor import Prediction, Predictor
from videoclf.reports.predictions import Predictions, write_predictions
from videoclf.tools.journal import Journal
from videoclf.types import Unreadable

SCHEMA = "CREATE TABLE videos (row INTEGER PRIMARY KEY, probabilities BLOB, reason TEXT)"


def predict_all(
    predictor: Predictor,
    listed: Listed,
    journal: Journal,
    report: Callable[[int, int, int], None],
) -> None:
    """Go through the videos that the journal lacks; unreadable ones are tried again.

    Args:
        predictor: the network.
        listed: the videos.
        journal: with the table of `SCHEMA`.
        report: called now and then with (videos done, videos in all, unreadable ones).
    """
    journal.execute("DELETE FROM videos WHERE reason IS NOT NULL")
    noted = {row for (row,) in journal.execute("SELECT row FROM videos")}
    num_videos = len(listed.manifest)
    left = np.array([row for row in range(num_videos) if row not in noted], dtype=np.int64)
    done, unreadable = len(noted), 0
    report(done, num_videos, unreadable)
    if not len(left):
        return
    found_rows = predictor.predict_rows(listed.manifest, listed.folder, left)
    for row, found in zip(left.tolist(), found_rows, strict=True):
        values: tuple[bytes | None, str | None]
        if isinstance(found, Unreadable):
            unreadable += 1
            values = None, found.reason
        else:
            values = found.probabilities.astype(np.float32).tobytes(), None
        journal.execute("INSERT INTO videos VALUES (?, ?, ?)", (row, *values))
        journal.save_now_and_then()
        done += 1
        report(done, num_videos, unreadable)


def noted_predictions(
    predictor: Predictor, listed: Listed, journal: Journal
) -> Iterator[Prediction | Unreadable]:
    """Yield what the journal holds, in the order of the videos."""
    columns = "row, probabilities, reason"
    for row, content, reason in journal.rows("videos", columns, "row"):
        path = listed.manifest.record(row).path
        if content is None:
            yield Unreadable(row, path, reason)
        else:
            values = np.frombuffer(content, dtype=np.float32)
            yield Prediction(path, predictor.class_names, values)


def write_noted(
    predictor: Predictor,
    listed: Listed,
    journal: Journal,
    path: Path,
    *,
    protocol: Mapping[str, Any],
) -> None:
    """Write the file, whole or not at all."""
    table, num_videos = listed.manifest.table, len(listed.manifest)
    probabilities = np.zeros((num_videos, len(predictor.class_names)), np.float32)
    available = np.zeros(num_videos, bool)
    for row, found in enumerate(noted_predictions(predictor, listed, journal)):
        if isinstance(found, Prediction):
            probabilities[row], available[row] = found.probabilities, True
    rows = Predictions(
        paths=table["path"].to_pylist(),
        starts=table["start"].to_pylist(),
        ends=table["end"].to_pylist(),
        labels=single_labels(listed.manifest),
        probabilities=probabilities,
        available=available,
        class_names=predictor.class_names,
        protocol=protocol,
        manifest_sha256=listed.manifest.sha256,
    )
    write_predictions(path, rows)
