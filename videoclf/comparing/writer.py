"""The folder that a comparison leaves: compare.html, compare.md, compare.json."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videoclf.cache import atomic_write
from videoclf.comparing.comparison import Row, Table
from videoclf.comparing.markdown import markdown
from videoclf.comparing.page import page
from videoclf.errors import StorageError


def write_comparison(folder: Path, tables: Sequence[Table], unfinished: Sequence[Path]) -> None:
    """Write all three files, each whole or not at all.

    Args:
        folder: is made; files of an earlier comparison are replaced.
        tables: at least one.
        unfinished: folders of runs that were left out.

    Raises:
        StorageError: the folder cannot be written.
    """
    title = comparison_title(tables)
    texts = {
        "compare.html": page(title, tables),
        "compare.md": markdown(title, tables),
        "compare.json": json.dumps(as_json(tables, unfinished), indent=1, ensure_ascii=False),
    }
    try:
        for name, text in texts.items():
            with atomic_write(folder / name) as temporary:
                # A folder's name may hold bytes that are no UTF-8.
                temporary.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise StorageError(
            f"cannot write {folder}: {error.strerror}; name another folder by --output"
        ) from error


def comparison_title(tables: Sequence[Table]) -> str:
    """Return "slow_fusion and early_fusion on moving_shapes", or how many models there are."""
    runs = [run for table in tables for row in table.rows for run in row.runs]
    chosen = [run.config.get("choices") or {} for run in runs]
    models = list(dict.fromkeys(str(c.get("model", "unnamed")) for c in chosen))
    data = list(dict.fromkeys(str(c.get("data", "unnamed")) for c in chosen))
    names = " and ".join(models) if len(models) < 3 else f"{len(models)} models"
    return f"{names} on {' and '.join(data) if len(data) < 3 else f'{len(data)} data sets'}"


def as_json(tables: Sequence[Table], unfinished: Sequence[Path]) -> dict[str, Any]:
    """Return plain values; NaN is null."""
    return {
        "format": "videoclf compare 1",
        "unfinished": [str(folder) for folder in unfinished],
        "tables": [
            {
                "differs": dict(table.differs),
                "metric": table.metric,
                "num_videos": table.num_videos,
                "num_groups": table.num_groups,
                "rows": [_row(row) for row in table.rows],
                "pairs": [dict(vars(pair)) for pair in table.pairs],
                "notes": list(table.notes),
            }
            for table in tables
        ],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "runs": [str(run.folder) for run in row.runs],
        "seeds": list(row.seeds),
        "values": [_number(value) for value in row.values],
        "mean": _number(row.mean),
        "interval_over_seeds": row.seed_interval,
        "interval_over_videos": row.video_interval,
        "parameters": row.cost and row.cost.parameters,
        "macs": row.cost and row.cost.macs,
        "step_seconds": row.step_seconds,
        "train_seconds": row.train_seconds,
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
