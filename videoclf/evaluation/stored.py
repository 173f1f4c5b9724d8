"""The work of `evaluate.py predictions=...`: metrics, intervals and report without a model.

What was stored is measured again by the code of today: numbers can be checked, and old results
get what was added since.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videoclf.errors import ConfigError
from videoclf.evaluation.average_precision import multi_hot_lists, multi_label_metrics
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.metrics import calibration_metrics, video_metrics
from videoclf.evaluation.scores import Scores
from videoclf.evaluation.views import Views
from videoclf.reports.environment import collect_environment
from videoclf.reports.estimates import metric_intervals, views_curve
from videoclf.reports.html import write_report
from videoclf.reports.predictions import Predictions, read_predictions, write_predictions
from videoclf.reports.results import Results
from videoclf.reports.run_folder import read_config
from videoclf.reports.summary import print_summary


def evaluate_stored(config: Mapping[str, Any], folder: Path, began: float) -> None:
    """Measure stored predictions and write the files of a run folder.

    Args:
        config: `predictions`, a run folder or a Parquet file; `root` of the videos or None; and
            the `command`.
        folder: of this run.
        began: time of the start, in seconds since the epoch.

    Raises:
        ConfigError: a video has no label.
        DataError: they cannot be read.
    """
    source = Path(config["predictions"])
    file = source / "predictions.parquet" if source.is_dir() else source
    predictions = read_predictions(file)
    metrics = stored_metrics(predictions)
    results = Results(
        metrics=metrics,
        counts={
            "expected": len(predictions),
            "evaluated": int(np.sum(predictions.available)),
            "missing": int(np.sum(~np.asarray(predictions.available))),
        },
        protocol=predictions.protocol,
        classes=predictions.class_names,
        manifest_sha256=predictions.manifest_sha256,
        environment=collect_environment(f"stored predictions {file}"),
        timing={"wall_seconds": time.time() - began},
        command=config["command"],
        intervals=metric_intervals(predictions, metrics),
        missing=_missing(predictions, file.parent / "results.json"),
        views_curve=views_curve(predictions),
    )
    write_predictions(folder / "predictions.parquet", predictions)
    results.save(folder / "results.json")
    data = read_config(file.parent / "config.yaml").get("data") or {}
    root = config["root"] or data.get("root")
    write_report(folder, root=Path(root) if root else None)
    print_summary(results, folder)


def stored_metrics(predictions: Predictions) -> dict[str, float]:
    """Return what an evaluation with these predictions reports, by protocol name.

    Raises:
        ConfigError: a video has no label, and only labelled ones are expected.
    """
    if not predictions.multi_label and not all(predictions.labels):
        raise ConfigError(
            "a video of the predictions has no label to be measured against; evaluate a run on "
            "labelled data"
        )
    num_classes = len(predictions.class_names)
    scores = Scores(
        rows=torch.arange(len(predictions)),
        labels=_labels(predictions),
        probabilities=torch.from_numpy(predictions.probabilities),
        available=torch.from_numpy(np.array(predictions.available, dtype=bool)),
        unreadable=(),
    )
    protocol = predictions.protocol
    name = Views.of_protocol(protocol).name
    if protocol.get("ensemble"):
        name += f"_{Ensemble(**protocol['ensemble']).name}"
    if predictions.multi_label:
        found = multi_label_metrics(scores, protocol=name)
    else:
        found = video_metrics(scores, num_classes=num_classes, protocol=name)
        found |= calibration_metrics(scores, num_classes=num_classes, protocol=name)
    subset = protocol.get("subset", "test")
    return {f"{subset}/{metric}": value for metric, value in found.items()}


def _labels(predictions: Predictions) -> torch.Tensor:
    """Return class ids, int64 (N,), or bool (N, K) of multi-label predictions."""
    if not predictions.multi_label:
        return torch.tensor([labels[0] for labels in predictions.labels], dtype=torch.int64)
    lengths = np.array([len(labels) for labels in predictions.labels], dtype=np.int64)
    flat = np.array([label for labels in predictions.labels for label in labels], dtype=np.int64)
    return torch.from_numpy(multi_hot_lists(lengths, flat, len(predictions.class_names)))


def _missing(predictions: Predictions, beside: Path) -> tuple[dict[str, str], ...]:
    """Return path and reason of the missing videos, as the results beside the file give them."""
    reasons: dict[str, str] = {}
    if beside.exists():
        reasons = {entry["path"]: entry["reason"] for entry in Results.load(beside).missing}
    return tuple(
        {"path": path, "reason": reasons.get(path, "has no stored prediction")}
        for path, seen in zip(predictions.paths, predictions.available, strict=True)
        if not seen
    )
