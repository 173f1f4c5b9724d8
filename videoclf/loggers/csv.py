"""metrics.csv in the run folder: one row a logging step, continued by a resumed run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from videoclf.reports.metrics_csv import MetricsTable


class CsvLogger(Logger):
    """Append metrics to `<folder>/metrics.csv`.

    Args:
        folder: the run folder.
    """

    def __init__(self, *, folder: str) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.table = MetricsTable(self.folder / "metrics.csv")

    @property
    def name(self) -> str:
        """A fixed name; the folder tells runs apart."""
        return "csv"

    @property
    def version(self) -> str:
        """No versions: a run folder holds one table."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Nothing: config.yaml holds them."""

    @rank_zero_only
    def continue_before(self, step: int) -> None:
        """Drop the rows of `step` and later ones: a resumed run measures them again."""
        self.table.truncate_after(step - 1)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one row."""
        values = dict(metrics)
        epoch = values.pop("epoch", None)
        if values:
            self.table.append(values, epoch=None if epoch is None else int(epoch), step=step or 0)
