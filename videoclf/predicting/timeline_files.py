"""The files of a timeline: every window (CSV), segments (JSON, SRT, WebVTT) and a picture (SVG).

The probabilities of all classes are written to the CSV as they come, and read from there again for
the picture: what is kept of a window in memory is its label.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from videoclf.cache import atomic_write
from videoclf.errors import StorageError
from videoclf.predicting.segments import Segment, merge
from videoclf.predicting.subtitles import srt, webvtt
from videoclf.predicting.timeline import Timeline
from videoclf.predicting.timeline_picture import MOST_CURVES, draw
from videoclf.predicting.windows import Windows

FORMAT = "videoclf timeline 1"
#: The first columns of the CSV; a column a class follows, by its name.
COLUMNS = ("start_seconds", "end_seconds", "label", "probability")


def write_timeline(
    timeline: Timeline,
    place: Path,
    *,
    class_names: Sequence[str],
    title: str,
    about: Mapping[str, Any],
    report: Callable[[int, int], None],
) -> list[Segment]:
    """Score the windows and write all files; return the segments.

    Args:
        timeline: not gone through yet.
        place: path of the files without their endings.
        class_names: of the network.
        title: of the picture.
        about: what the JSON begins with, such as the video and the checkpoint.
        report: called now and then with (windows done, windows in all).

    Raises:
        StorageError: a file cannot be written.
        UnreadableVideoError: the video is damaged; no file is left.
    """
    windows = timeline.windows
    table = Path(f"{place}.csv")
    with written(table) as file:
        ids, best, sums = _write_windows(timeline, file, class_names, report)
    segments = merge(windows.bounds, ids, best, class_names)
    means = sums / len(windows)
    shown = _curves_to_show(ids, means)
    picture = draw(
        title=title,
        subtitle=(
            f"{len(windows)} windows of {windows.window_seconds:g} s; curves: probabilities, "
            "strip: the likeliest class"
        ),
        middles=windows.starts + windows.window_seconds / 2,
        curves=_read_curves(table, shown, class_names, len(windows)),
        segments=segments,
        duration_seconds=windows.duration_seconds,
    )
    summary = _summary(windows, segments, {class_names[k]: float(means[k]) for k in shown})
    texts = {
        "json": json.dumps({"format": FORMAT, **about, **summary}, ensure_ascii=False, indent=1),
        "srt": srt(segments),
        "vtt": webvtt(segments),
        "svg": picture,
    }
    for ending, text in texts.items():
        with written(Path(f"{place}.{ending}")) as file:
            file.write_text(text, encoding="utf-8")
    return segments


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield a temporary file that becomes `path` when it is whole.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        with atomic_write(path) as temporary:
            yield temporary
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; make room, or name another --output"
        ) from error


def _write_windows(
    timeline: Timeline, file: Path, class_names: Sequence[str], report: Callable[[int, int], None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write the CSV; return ids (M,), probabilities (M,) and the sum of all windows' (K,)."""
    windows = timeline.windows
    ids = np.zeros(len(windows), np.int64)
    best = np.zeros(len(windows), np.float32)
    sums = np.zeros(len(class_names))
    with file.open("w", encoding="utf-8", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow([*COLUMNS, *class_names])
        report(0, len(windows))
        for window in timeline.scored:
            m, values = window.number, window.probabilities
            ids[m], best[m] = int(values.argmax()), float(values.max())
            sums += values
            times = (windows.starts[m], windows.ends[m])
            rows.writerow(
                [
                    *(f"{seconds:.3f}" for seconds in times),
                    class_names[ids[m]],
                    f"{best[m]:.6f}",
                    *(f"{value:.6f}" for value in values),
                ]
            )
            report(m + 1, len(windows))
    return ids, best, sums


def _curves_to_show(ids: np.ndarray, means: np.ndarray) -> list[int]:
    """Choose classes: those that lead the most windows first, then the likeliest on average."""
    leads = np.bincount(ids, minlength=len(means))
    order = np.lexsort((-means, -leads))
    return [int(k) for k in order[:MOST_CURVES]]


def _read_curves(
    table: Path, class_ids: Sequence[int], class_names: Sequence[str], num_windows: int
) -> list[tuple[str, np.ndarray]]:
    values = np.zeros((len(class_ids), num_windows), np.float32)
    with table.open(encoding="utf-8", newline="") as opened:
        rows = csv.reader(opened)
        next(rows)
        for m, row in enumerate(rows):
            values[:, m] = [float(row[len(COLUMNS) + k]) for k in class_ids]
    return [(class_names[k], curve) for k, curve in zip(class_ids, values, strict=True)]


def _summary(
    windows: Windows, segments: Sequence[Segment], means: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "duration_seconds": windows.duration_seconds,
        "window_seconds": windows.window_seconds,
        "num_windows": len(windows),
        "mean_probabilities": means,
        "segments": [asdict(segment) for segment in segments],
    }
