"""What a job of a sweep tells the sweeper: the best validation, never the test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoclf.reports.metrics_csv import read_metrics


def sweep_value(folder: Path, checkpoint: Mapping[str, Any]) -> float | None:
    """Return the best value of `checkpoint.monitor` in a run; None where nothing was validated.

    Args:
        folder: of the run, ended.
        checkpoint: the group of its config.
    """
    file = folder / "metrics.csv"
    if not file.is_file():
        return None
    values = [value for _, value in read_metrics(file).get(checkpoint["monitor"], [])]
    if not values:
        return None
    return max(values) if checkpoint["mode"] == "max" else min(values)
