"""`metrics.csv`: every logged number of a run, one row a call, in a table that only grows.

Rows are appended with one write each, so that a kill leaves at worst half a last line, which the
next start drops. A metric seen for the first time adds a column, for which the file is rewritten
whole. Cells of metrics not logged in a row are empty.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from videoclf.cache import atomic_write

KEY_COLUMNS = ("epoch", "step", "time_seconds")


class MetricsTable:
    """An append-only table of metrics that continues the file it finds.

    Args:
        path: the CSV file; made with the first row.
        clock: seconds that only grow. `time_seconds` counts the seconds the run was alive: it
            goes on from the last row of an existing file.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._columns: list[str] = list(KEY_COLUMNS)
        self._continue_file()

    def append(self, row: Mapping[str, float], epoch: int | None, step: int) -> None:
        """Add one row; metrics it does not name stay empty."""
        new = [name for name in row if name not in self._columns]
        if new or self._torn or not self.path.exists():
            rows = _read_rows(self.path)
            self._columns += new
            self._rewrite(rows)
        cells = {name: _cell(value) for name, value in row.items()}
        cells["step"] = str(step)
        cells["epoch"] = "" if epoch is None else str(epoch)
        cells.setdefault("time_seconds", f"{self._clock() - self._started:.3f}")
        line = self._line([cells.get(name, "") for name in self._columns])
        with self.path.open("ab", buffering=0) as file:
            file.write(line.encode("utf-8"))

    def truncate_after(self, step: int) -> None:
        """Drop the rows after `step`: a resumed run measures them again."""
        rows = _read_rows(self.path)
        kept = [row for row in rows if int(row["step"]) <= step]
        if len(kept) != len(rows):
            self._rewrite(kept)
        self._started = self._clock() - _last_time(kept)

    def _continue_file(self) -> None:
        rows = _read_rows(self.path)
        if rows:
            self._columns = list(rows[0])
        # Mended with the first row only: every rank may open the table, but one writes.
        self._torn = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
        self._started = self._clock() - _last_time(rows)

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        lines = [self._line(self._columns)]
        lines += [self._line([row.get(name, "") for name in self._columns]) for row in rows]
        with atomic_write(self.path) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8", newline="")
        self._torn = False

    @staticmethod
    def _line(cells: list[str]) -> str:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(cells)
        return buffer.getvalue()


def read_metrics(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Return (step, value) by column, ascending by step; of one step the last value counts.

    `epoch` and `time_seconds` are columns too. Values that are not finite are kept: a loss that
    became NaN should be seen. A missing file gives no columns.
    """
    series: dict[str, dict[int, float]] = {}
    for row in _read_rows(path):
        step = int(row["step"])
        for name, cell in row.items():
            if name != "step" and cell:
                series.setdefault(name, {})[step] = float(cell)
    return {name: sorted(values.items()) for name, values in series.items()}


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Return the whole rows of a table; half a last line is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    return list(csv.DictReader(io.StringIO(whole, newline="")))


def _last_time(rows: list[dict[str, str]]) -> float:
    return max((float(row["time_seconds"]) for row in rows if row.get("time_seconds")), default=0.0)


def _cell(value: float) -> str:
    """Write seven digits, which float32 has; integers stay integers."""
    number = float(value)
    if math.isfinite(number) and number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.7g}"
