"""An ensemble's evaluation: the stored predictions of its members, joined by record, made one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.evaluator import Evaluation
from videoclf.evaluation.fusion import average_scores, fit_fusion
from videoclf.evaluation.metrics import calibration_metrics, video_metrics
from videoclf.evaluation.scores import Scores, ShardScores, join
from videoclf.reports.predictions import read_predictions
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
) -> Evaluation:
    """Make the members' predictions one and measure them.

    Args:
        ensemble: how.
        members: folders of the members' evaluations of the subset.
        fit_members: those of their evaluations of `ensemble.fit_subset`; empty for an average.
        manifest: all records.
        subset: what is measured.
        views_name: the members' views, such as `10x3`.

    Raises:
        ConfigError: there is nothing to fit on.
        DataError: a member's predictions cannot be read.
    """
    scored = [read_scores(folder, manifest, subset) for folder in members]
    seen = torch.stack([scores.available for scores in scored]).all(0)
    own = [scores.probabilities[seen] for scores in scored]
    if ensemble.fusion == "average":
        fused = average_scores(own, weights=ensemble.weights, average=ensemble.average)
    else:
        known = [read_scores(folder, manifest, ensemble.fit_subset) for folder in fit_members]
        fit = torch.stack([scores.available for scores in known]).all(0)
        if not bool(fit.any()):
            raise ConfigError(
                f"no video of ensemble.fit_subset={ensemble.fit_subset} has predictions of all "
                "members; choose another subset"
            )
        fused = fit_fusion(
            [scores.probabilities[fit] for scores in known],
            known[0].labels[fit],
            fusion=ensemble.fusion,
            regularization=ensemble.regularization,
        )(own)
    unreadable = {record.index: record for scores in scored for record in scores.unreadable}
    joined = join(
        [ShardScores(scored[0].rows[seen], fused, tuple(unreadable.values()))],
        rows=scored[0].rows.numpy(),
        labels=scored[0].labels.numpy(),
        num_classes=len(manifest.class_names),
    )
    num_classes, protocol = len(manifest.class_names), f"{views_name}_{ensemble.name}"
    metrics = video_metrics(joined, num_classes=num_classes, protocol=protocol)
    metrics |= calibration_metrics(joined, num_classes=num_classes, protocol=protocol)
    seconds = sum(
        float(Results.load(folder / "results.json").timing["evaluate_seconds"] or 0)
        for folder in (*members, *fit_members)
    )
    named = {f"{subset}/{name}": value for name, value in metrics.items()}
    return Evaluation(subset, joined, named, seconds)


def read_scores(folder: Path, manifest: Manifest, subset: str) -> Scores:
    """Read an evaluation's predictions as scores of a manifest's rows, in its classes.

    Raises:
        DataError: the predictions cannot be read.
    """
    predictions = read_predictions(folder / "predictions.parquet")
    reasons = {
        each["path"]: each["reason"] for each in Results.load(folder / "results.json").missing
    }
    rows = manifest.rows(subset).to_numpy(zero_copy_only=False)
    table = manifest.table.take(rows)
    keys = zip(*(table[name].to_pylist() for name in ("path", "start", "end")), strict=True)
    row_of = dict(zip(keys, rows.tolist(), strict=True))
    given = zip(predictions.paths, predictions.starts, predictions.ends, strict=True)
    places = np.array([row_of[key] for key in given], dtype=np.int64)
    order = [predictions.class_names.index(name) for name in manifest.class_names]
    seen = np.asarray(predictions.available, dtype=bool)
    shard = ShardScores(
        rows=torch.from_numpy(places[seen]),
        probabilities=torch.from_numpy(predictions.probabilities[seen][:, order]),
        unreadable=tuple(
            Unreadable(int(place), path, reasons.get(path, "not evaluated"))
            for place, path in zip(places[~seen], np.array(predictions.paths)[~seen], strict=True)
        ),
    )
    labels = np.array([labels[0] for labels in table["labels"].to_pylist()], dtype=np.int64)
    return join([shard], rows=rows, labels=labels, num_classes=len(manifest.class_names))
