"""`compare.html`: a comparison on one page that needs nothing else, in the style of the reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from videoclf import reports
from videoclf.comparing import wording
from videoclf.comparing.comparison import Row, Table
from videoclf.comparing.scatter import Dot, scatter
from videoclf.reports.charts import Series, line_chart
from videoclf.reports.metrics_csv import read_metrics
from videoclf.reports.wording import headline_in_words, parse_metric, plural, share

TEMPLATES = (Path(__file__).parent, Path(reports.__file__).parent)
#: Lines of more rows could not be told apart.
_MAX_CURVES = 8


@dataclass(frozen=True)
class _ShownTable:
    table: Table
    title: str
    metric_words: str
    columns: tuple[str, ...]
    cells: list[tuple[str, ...]]
    sentences: list[str]
    colours: list[str]
    charts: list[Markup]
    charts_note: str


def page(title: str, tables: Sequence[Table]) -> str:
    """Return the page as HTML; all names are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "share": share,
        "plural": plural,
        "interval": wording.interval_text,
        "p_text": wording.p_text,
    }
    return environment.get_template("compare.html.j2").render(
        title=title,
        num_runs=sum(len(row.runs) for table in tables for row in table.rows),
        tables=[_shown(table) for table in tables],
        checkpoints_not_strategies=wording.CHECKPOINTS_NOT_STRATEGIES,
    )


def _shown(table: Table) -> _ShownTable:
    colours = wording.colours(table.rows)
    note = ""
    if len(table.rows) > _MAX_CURVES:
        note = f"Curves are of the best {_MAX_CURVES} of {len(table.rows)} rows."
    results = table.rows[0].runs[0].results
    return _ShownTable(
        table=table,
        title=wording.table_title(table),
        metric_words=headline_in_words(results, table.metric),
        columns=wording.columns(table),
        cells=[wording.cells(row) for row in table.rows],
        sentences=wording.sentences(table),
        colours=colours,
        charts=[*_cost_charts(table, colours), *_curves(table.rows, colours)],
        charts_note=note,
    )


def _cost_charts(table: Table, colours: Sequence[str]) -> list[Markup]:
    """Draw accuracy against operations and against the time of a step, where two rows have them."""
    title = parse_metric(table.metric).title
    macs = [
        Dot(row.name, colour, row.cost.macs / 1e6, row.mean, row.video_interval)
        for row, colour in zip(table.rows, colours, strict=True)
        if row.cost is not None and row.cost.macs > 0 and math.isfinite(row.mean)
    ]
    steps = [
        Dot(row.name, colour, 1000 * row.step_seconds, row.mean, row.video_interval)
        for row, colour in zip(table.rows, colours, strict=True)
        if row.step_seconds and math.isfinite(row.mean)
    ]
    charts = []
    if len(macs) > 1:
        charts.append(scatter(f"{title} against operations", macs, "million MACs a clip"))
    if len(steps) > 1:
        charts.append(scatter(f"{title} against time", steps, "ms a training step"))
    return charts


def _curves(rows: Sequence[Row], colours: Sequence[str]) -> list[Markup]:
    """Draw the validated metric over steps, a line a run; one row's runs share a colour."""
    name = monitored(rows)
    if not name:
        return []
    lines = []
    for row, colour in zip(rows[:_MAX_CURVES], colours, strict=False):
        label = row.name
        for run in row.runs:
            points = read_metrics(run.folder / "metrics.csv").get(name, [])
            if points:
                lines.append(Series(label, [(float(x), y) for x, y in points], colour))
                label = ""  # the legend names a row once
    parts = parse_metric(name)
    unit_range = all(0 <= y <= 1 for line in lines for _, y in line.points)
    return [line_chart(f"{parts.title}, validation", lines, "steps", unit_range)]


def monitored(rows: Sequence[Row]) -> str:
    """Return the validation metric by which a run chose its best checkpoint, if one was logged."""
    for row in rows:
        for run in row.runs:
            name = (run.config.get("checkpoint") or {}).get("monitor", "")
            if name and read_metrics(run.folder / "metrics.csv").get(name):
                return str(name)
    return ""
