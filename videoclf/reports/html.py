"""`report.html`: everything about a run on one page that needs nothing else.

No script, no request: styles, charts and pictures are inside, and a content policy in its head
forbids the rest. Names come from files and folders of strangers; the template escapes them all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import yaml
from markupsafe import Markup, escape

from videoclf.cache import atomic_write
from videoclf.reports import wording
from videoclf.reports.analysis import (
    ClassScore,
    ConfusedPair,
    Mistake,
    class_scores,
    confident_mistakes,
    confused_pairs,
    confusion_matrix,
)
from videoclf.reports.charts import matrix_png
from videoclf.reports.curves import learning_curves
from videoclf.reports.filmstrip import Filmstrip, FrameReader, filmstrip, read_evenly
from videoclf.reports.metrics_csv import read_metrics
from videoclf.reports.predictions import Predictions, read_predictions
from videoclf.reports.redaction import redact, redact_command
from videoclf.reports.results import Results

#: Up to here a matrix is a table with a name and a number a cell; beyond, a picture.
MAX_TABLE_CLASSES = 40
#: Up to here all classes are listed at once; beyond, both ends, and all to unfold.
MAX_LISTED_CLASSES = 40
#: The matrix picture's colours: a blue and an orange with contrast on white and on near black.
HIT_COLOUR = (70, 122, 236)
MISS_COLOUR = (226, 100, 40)

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
    `config.yaml` and `skipped.jsonl` is left out of the page.

    Args:
        run_folder: of a training or an evaluation.
        root: of the videos, for the filmstrips of mistakes; None leaves them out.
        read_frames: reads frames evenly spaced; see `FrameReader`.
        max_mistakes: how many filmstrips are shown.

    Raises:
        DataError: results or predictions cannot be read.
    """
    results = Results.load(run_folder / "results.json")
    config = _read_config(run_folder / "config.yaml")
    predictions_file = run_folder / "predictions.parquet"
    predictions = read_predictions(predictions_file) if predictions_file.exists() else None

    def strip(mistake: Mistake) -> Filmstrip:
        return filmstrip(root, mistake.path, mistake.start, mistake.end, read_frames=read_frames)

    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=_title(config, run_folder),
            run_name=run_folder.resolve().name,
            choices=_choices(config),
            headline=_headline(results),
            tiles=_tiles(results),
            results=results,
            missing_effect=_missing_effect(results),
            skipped=_read_skipped(run_folder / "skipped.jsonl"),
            curves=learning_curves(read_metrics(run_folder / "metrics.csv")),
            confusion=_confusion(predictions),
            classes=_classes(predictions),
            mistakes=_mistakes(predictions, max_mistakes, strip),
            timing=_timing(results),
            environment=_flat(results.environment),
            protocol=_flat(results.protocol),
            config_text=_config_text(config),
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
    }
    return environment


def _breakable(name: str) -> Markup:
    """Let a long name break after its slashes and underscores, and nowhere else."""
    return Markup(re.sub(r"([/_])", r"\1<wbr>", str(escape(name))))


# -- the head ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """One number: its protocol name, what it is, under which conditions, its value, interval."""

    name: str
    title: str
    words: str
    value: str
    interval: str


def _read_config(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    return redact(config) if isinstance(config, dict) else {}


def _config_text(config: Mapping[str, Any]) -> str:
    if not config:
        return ""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=100)


def _choices(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    choices = config.get("choices")
    pairs = list(choices.items()) if isinstance(choices, Mapping) else []
    if "seed" in config:
        pairs.append(("seed", config["seed"]))
    return [(str(k), str(v)) for k, v in pairs if not str(k).startswith("hydra") and v is not None]


def _title(config: Mapping[str, Any], run_folder: Path) -> str:
    choices = dict(_choices(config))
    if "model" in choices and "data" in choices:
        return f"{choices['model']} on {choices['data']}"
    return str(config.get("name") or run_folder.resolve().name)


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
    shown = wording.headline_metric(results)
    return [
        Tile(
            name=name,
            title=wording.parse_metric(name).title,
            words=wording.conditions_in_words(name, results.protocol),
            value=wording.share(value),
            interval=_interval(results, name),
        )
        for name, value in results.metrics.items()
        if name != shown
    ]


def _interval(results: Results, name: str) -> str:
    if name not in results.intervals:
        return ""
    low, high = results.intervals[name]
    return f"{wording.share(low)} to {wording.share(high)}"


def _missing_effect(results: Results) -> str:
    available = [n for n in results.metrics if wording.parse_metric(n).over == "available"]
    if not available:
        return "They count as wrong."
    return f"They count as wrong, except in {', '.join(available)}."


def _read_skipped(path: Path) -> list[dict[str, str]]:
    """Return path and reason of each video left out; half a last line is no entry."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict):
            path_and_reason = {k: str(entry.get(k, "")) for k in ("path", "reason")}
            entries.append(path_and_reason)
    return entries


# -- what the predictions tell ----------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion table; `strength` is its share of the row."""

    count: int
    correct: bool
    strength: float
    title: str


@dataclass(frozen=True)
class Confusion:
    """A table of cells, or a picture of them, and the pairs most often confused."""

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    picture: str
    pairs: tuple[ConfusedPair, ...]
    total: int


def _confusion(predictions: Predictions | None) -> Confusion | None:
    if predictions is None or predictions.multi_label:
        return None
    names = predictions.class_names
    matrix = confusion_matrix(predictions)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    as_table = len(names) <= MAX_TABLE_CLASSES
    return Confusion(
        names=names,
        rows=tuple(_cells(names, matrix, shares)) if as_table else (),
        picture="" if as_table else matrix_png(shares, HIT_COLOUR, MISS_COLOUR),
        pairs=tuple(confused_pairs(matrix, names, 8 if as_table else 12)),
        total=int(matrix.sum()),
    )


def _cells(names: Sequence[str], matrix: np.ndarray, shares: np.ndarray) -> list[tuple[Cell, ...]]:
    return [
        tuple(
            Cell(
                count=int(matrix[i, j]),
                correct=i == j,
                strength=round(float(shares[i, j]), 3),
                title=f"{true} taken for {predicted}" if i != j else f"{true} recognised",
            )
            for j, predicted in enumerate(names)
        )
        for i, true in enumerate(names)
    ]


@dataclass(frozen=True)
class Classes:
    """Scores of all classes, and those to show at once: the best and the worst, if many."""

    scores: tuple[ClassScore, ...]
    best: tuple[ClassScore, ...]
    worst: tuple[ClassScore, ...]
    multi_label: bool


def _classes(predictions: Predictions | None) -> Classes | None:
    if predictions is None or not len(predictions):
        return None
    scores = tuple(class_scores(predictions))
    scored = tuple(score for score in scores if score.score is not None)
    many = len(scores) > MAX_LISTED_CLASSES
    return Classes(
        scores=scores,
        best=scored[:10] if many else (),
        worst=scored[-10:] if many else (),
        multi_label=predictions.multi_label,
    )


@dataclass(frozen=True)
class Mistakes:
    """The most confident mistakes with their pictures, of how many, among how many videos."""

    shown: tuple[tuple[Mistake, Filmstrip], ...]
    total: int
    evaluated: int


def _mistakes(
    predictions: Predictions | None, limit: int, strip: Callable[[Mistake], Filmstrip]
) -> Mistakes | None:
    if predictions is None:
        return None
    mistakes, total = confident_mistakes(predictions, limit)
    return Mistakes(
        shown=tuple((mistake, strip(mistake)) for mistake in mistakes),
        total=total,
        evaluated=int(np.sum(predictions.available)),
    )


# -- the small print --------------------------------------------------------------------------


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
