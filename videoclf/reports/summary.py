"""What the terminal shows at the end of a run."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from videoclf.reports.results import Results


def print_summary(results: Results, run_folder: Path, console: Console | None = None) -> None:
    """Print metrics by protocol name, counts, timing and where things lie."""
    (console or Console()).print(results.metrics, run_folder)
