"""`report.html`: everything about a run on one page that needs nothing else.

No script, no request: styles, charts and pictures are inside, and a content policy in its head
forbids the rest. Names come from files and folders of strangers; the template escapes them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from videoclf.cache import atomic_write
from videoclf.reports import wording
from videoclf.reports.analysis import Mistake
from videoclf.reports.calibration import calibration, draw
from videoclf.reports.curves import learning_curves
from videoclf.reports.ensembles import members_table
from videoclf.reports.filmstrip import Filmstrip, FrameReader, filmstrip, read_evenly
from videoclf.reports.findings import (
    arrange_classes,
    arrange_confusion,
    arrange_mistakes,
    views_chart,
)
from videoclf.reports.metrics_csv import read_metrics
from videoclf.reports.predictions import read_predictions
from videoclf.reports.reconstructions import read_reconstructions
from videoclf.reports.redaction import redact_command
from videoclf.reports.results import Results
from videoclf.reports.run_folder import (
    config_text,
    read_config,
    read_skipped,
    run_choices,
    run_title,
)
from videoclf.reports.slices import slices

TEMPLATES = Path(__file__).parent


def write_report(
    run_folder: Path,
    *,
    root: Path | None,
    read_frames: FrameReader = read_evenly,
    max_mistakes: int = 10,
) -> Path:
    """Write `report.html` into a run folder and return its path.

    `results.json` must be there. What is absent of `predictions.parquet`, `metrics.csv`,
    `config.yaml`, `reconstructions.npz` and `skipped.jsonl` is left out of the page.

    Args:
        run_folder: of a training or an evaluation.
        root: of the videos, for the filmstrips of mistakes; None leaves them out.
        read_frames: reads frames evenly spaced; see `FrameReader`.
        max_mistakes: how many filmstrips are shown.

    Raises:
        DataError: results or predictions cannot be read.
    """
    results = Results.load(run_folder / "results.json")
    config = read_config(run_folder / "config.yaml")
    predictions_file = run_folder / "predictions.parquet"
    predictions = read_predictions(predictions_file) if predictions_file.exists() else None

    calibrated = calibration(predictions) if predictions is not None else None

    def strip(mistake: Mistake) -> Filmstrip:
        return filmstrip(root, mistake.path, mistake.start, mistake.end, read_frames=read_frames)

    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=run_title(config, run_folder),
            run_name=run_folder.resolve().name,
            choices=run_choices(config),
            headline=_headline(results),
            tiles=_tiles(results),
            results=results,
            members=members_table(results.ensemble),
            missing_effect=_missing_effect(results),
            skipped=read_skipped(run_folder / "skipped.jsonl", results),
            curves=learning_curves(read_metrics(run_folder / "metrics.csv")),
            confusion=arrange_confusion(predictions),
            classes=arrange_classes(predictions),
            views_chart=views_chart(results),
            calibration=calibrated,
            reliability=draw(calibrated) if calibrated else None,
            slices=slices(predictions) if predictions is not None else (),
            reconstructions=read_reconstructions(run_folder),
            mistakes=arrange_mistakes(predictions, max_mistakes, strip),
            timing=_timing(results),
            environment=_flat(results.environment),
            inference=_flat(wording.inference_options(results)),
            inference_changes=wording.inference_changes(results),
            protocol=_flat(results.protocol),
            config_text=config_text(config),
            command=redact_command(results.command),
        )
    )
    path = run_folder / "report.html"
    with atomic_write(path) as temporary:
        # A file name may hold bytes that are no UTF-8; the page shows a question mark there.
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return path


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "share": wording.share,
        "percent": wording.percent,
        "plural": wording.plural,
        "breakable": _breakable,
        "unbroken": _unbroken,
    }
    return environment


def _breakable(name: str) -> Markup:
    """Let a long name break after its slashes and underscores, and nowhere else."""
    return Markup(re.sub(r"([/_])", r"\1<wbr>", str(escape(name))))


def _unbroken(words: str) -> str:
    """Keep a count and its noun on one line, and so "10 clips x 3 crops" as a whole."""
    glued = re.sub(r"(\d) (?=\w)", "\\1\N{NO-BREAK SPACE}", words)
    return re.sub(rf" ?({wording.TIMES}) ?", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", glued)


@dataclass(frozen=True)
class Tile:
    """One number: its protocol name, what it is, under which conditions, its value, interval."""

    name: str
    title: str
    words: str
    value: str
    interval: str


def _headline(results: Results) -> dict[str, str] | None:
    name = wording.headline_metric(results)
    if name is None:
        return None
    return {
        "name": name,
        "value": wording.share(results.metrics[name]),
        "words": wording.headline_in_words(results, name),
        "interval": _interval(results, name),
    }


def _tiles(results: Results) -> list[Tile]:
    return [
        Tile(
            name=name,
            title=wording.parse_metric(name).title,
            words=wording.conditions_in_words(name, results.protocol),
            value=wording.share(results.metrics[name]),
            interval=_interval(results, name),
        )
        for name in wording.other_metrics(results)
    ]


def _interval(results: Results, name: str) -> str:
    if name not in results.intervals:
        return ""
    low, high = results.intervals[name]
    return f"{wording.share(low)} to {wording.share(high)}"


def _missing_effect(results: Results) -> str:
    parts = {name: wording.parse_metric(name) for name in results.metrics}
    available = [n for n, p in parts.items() if p.over == "available" or p.quantity == "ece"]
    if not available:
        return "They count as wrong."
    return f"They count as wrong, except in {', '.join(available)}."


def _timing(results: Results) -> list[tuple[str, str]]:
    timing = results.timing
    rows = [
        ("wall time", wording.seconds_in_words(timing.get("wall_seconds"))),
        ("training", wording.seconds_in_words(timing.get("train_seconds"))),
        ("evaluation", wording.seconds_in_words(timing.get("evaluate_seconds"))),
        ("clips per second", wording.number(timing.get("clips_per_second"))),
        ("waiting for data", wording.percent(timing.get("data_wait_share"))),
    ]
    return [(name, text) for name, text in rows if text != wording.DASH]


def _flat(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts, the entries of an inner mapping (packages) in line with the rest."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += [(str(inner), str(item)) for inner, item in value.items()]
        elif value is not None:
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            rows.append((str(name).replace("_", " "), text))
    return rows
