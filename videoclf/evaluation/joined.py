"""An ensemble's evaluation: the stored predictions of its members, joined by record, made one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videoclf.data.manifest import Manifest
from videoclf.evaluation.asking import read_cascade, read_member
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.evaluator import Evaluation
from videoclf.evaluation.fuse import fuse
from videoclf.evaluation.member_costs import member_costs
from videoclf.evaluation.metrics import calibration_metrics, video_metrics
from videoclf.evaluation.scores import Scores, ShardScores, join
from videoclf.reports.predictions import Predictions
from videoclf.reports.results import Results
from videoclf.types import Unreadable


def evaluate_joined(
    ensemble: Ensemble,
    members: Sequence[Path],
    fit_members: Sequence[Path],
    *,
    manifest: Manifest,
    subset: str,
    views_name: str,
) -> tuple[Evaluation, dict[str, Any]]:
    """Make the members' predictions one and measure them.

    Args:
        ensemble: how.
        members: folders of the members' evaluations of the subset; in a cascade of what those
            before left unsure, without results where that is nothing.
        fit_members: those of their evaluations of `ensemble.fit_subset`, where that is fitted.
        manifest: all records.
        subset: what is measured.
        views_name: the members' views, such as `10x3`.

    Returns:
        The evaluation, and what was found of the members, see `videoclf.evaluation.fuse`.

    Raises:
        ConfigError: there is nothing to fit on.
        DataError: a member's predictions cannot be read.
        WorkerError: a cascade's member has not scored what it was to be asked.
    """
    fitted_on = [read_member(folder) for folder in fit_members]
    if ensemble.fusion == "cascade":
        scored, _ = read_cascade(ensemble, members, fitted_on)
    else:
        scored = [read_member(folder) for folder in members]
    fused = fuse(
        ensemble,
        scored,
        fit_members=fitted_on,
        costs=lambda: member_costs(ensemble, members),
    )
    found = [_results(folder) for folder in members]
    joined = _scores(fused.predictions, found, manifest, subset)
    num_classes, protocol = len(manifest.class_names), f"{views_name}_{ensemble.name}"
    metrics = video_metrics(joined, num_classes=num_classes, protocol=protocol)
    metrics |= calibration_metrics(joined, num_classes=num_classes, protocol=protocol)
    seconds = [_seconds(results) for results in found]
    rows = [
        {**row, "seconds": each}
        for row, each in zip(fused.findings["members"], seconds, strict=True)
    ]
    whole = sum(seconds) + sum(_seconds(_results(folder)) for folder in fit_members)
    named = {f"{subset}/{name}": value for name, value in metrics.items()}
    return Evaluation(subset, joined, named, whole), {**fused.findings, "members": rows}


def _results(folder: Path) -> Results | None:
    """Read a member's results; None of one that a cascade has asked nothing."""
    file = folder / "results.json"
    return Results.load(file) if file.exists() else None


def _seconds(results: Results | None) -> float:
    """Return how long a member's evaluation took, without its start."""
    return float(results.timing["evaluate_seconds"] or 0) if results else 0.0


def _scores(
    predictions: Predictions,
    members: Sequence[Results | None],
    manifest: Manifest,
    subset: str,
) -> Scores:
    """Return predictions as scores of a manifest's rows, in its classes."""
    reasons = {
        each["path"]: each["reason"] for member in members if member for each in member.missing
    }
    rows = manifest.rows(subset).to_numpy(zero_copy_only=False)
    table = manifest.table.take(rows)
    keys = zip(*(table[name].to_pylist() for name in ("path", "start", "end")), strict=True)
    row_of = dict(zip(keys, rows.tolist(), strict=True))
    given = zip(predictions.paths, predictions.starts, predictions.ends, strict=True)
    places = np.array([row_of[key] for key in given], dtype=np.int64)
    order = [predictions.class_names.index(name) for name in manifest.class_names]
    seen = np.asarray(predictions.available, dtype=bool)
    columns = {"seconds": predictions.seconds, "motion": predictions.motion}
    shard = ShardScores(
        rows=torch.from_numpy(places[seen]),
        probabilities=torch.from_numpy(predictions.probabilities[seen][:, order]),
        unreadable=tuple(
            Unreadable(int(place), path, reasons.get(path, "not evaluated"))
            for place, path in zip(places[~seen], np.array(predictions.paths)[~seen], strict=True)
        ),
        columns={k: torch.from_numpy(v[seen]) for k, v in columns.items() if v is not None},
    )
    labels = np.array([labels[0] for labels in table["labels"].to_pylist()], dtype=np.int64)
    return join([shard], rows=rows, labels=labels, num_classes=len(manifest.class_names))
