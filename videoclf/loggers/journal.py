"""What a run has told a service that may have lost it, so that a resumed run goes on there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import Any


class Journal:
    """The run's id at the service, and its rows of numbers in the order in which they were logged.

    Args:
        path: of a file of JSON lines, made on first use: the id first, then a line a row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._id: str | None = None
        self._rows: list[dict[str, Any]] = []
        self._steps: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def run_id(self) -> str:
        """Return the run's id; drawn by its first session and read by the others."""
        if self._id is None:
            self._read()
        if self._id is None:
            self._id = secrets.token_hex(4)
            self._append({"id": self._id})
        return self._id

    def unseen(self, metrics: Mapping[str, Any], step: int | None) -> dict[str, Any]:
        """Return what is not logged at this step or a later one; all where there is no step.

        A resumed run measures the steps after its checkpoint again, with equal results.
        """
        self.run_id()
        return {
            name: value
            for name, value in metrics.items()
            if step is None or step > self._steps.get(name, -1)
        }

    def note(self, row: Mapping[str, Any], step: int | None) -> int:
        """Note a row, of which the numbers are kept; return how many came before it."""
        self.run_id()
        numbers = {name: float(each) for name, each in row.items() if isinstance(each, Real)}
        line = {"step": step, "metrics": numbers}
        self._append(line)
        self._take(line)
        return len(self) - 1

    def rows_from(self, number: int) -> Iterator[tuple[int, dict[str, float], int | None]]:
        """Yield number, metrics and step of the rows from a number on that hold any."""
        for place, row in enumerate(self._rows[number:], start=number):
            if row["metrics"]:
                yield place, row["metrics"], row["step"]

    def _take(self, line: dict[str, Any]) -> None:
        self._rows.append(line)
        if line["step"] is not None:
            self._steps.update(dict.fromkeys(line["metrics"], line["step"]))

    def _append(self, line: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _read(self) -> None:
        if not self.path.exists():
            return
        whole, _, torn = self.path.read_text(encoding="utf-8").rpartition("\n")
        if torn:  # the process was killed while it wrote it
            self.path.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        for line in map(json.loads, whole.splitlines()):
            if "id" in line:
                self._id = line["id"]
            else:
                self._take(line)
