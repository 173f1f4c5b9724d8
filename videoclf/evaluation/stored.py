"""The work of `evaluate.py predictions=...`: metrics, intervals and report without a model.

What was stored is measured again by the code of today: numbers can be checked, and old results
get what was added since.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videoclf.build import build
from videoclf.errors import ConfigError
from videoclf.evaluation.average_precision import multi_hot_lists, multi_label_metrics
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.fuse import Member, fuse
from videoclf.evaluation.member_costs import member_costs
from videoclf.evaluation.metrics import calibration_metrics, video_metrics
from videoclf.evaluation.protocols import joint_protocol, protocol_name
from videoclf.evaluation.scores import Scores
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
        config: `predictions`, a run folder or a Parquet file, or a list of them, which `ensemble`
            makes one; `fit_predictions` of another subset, where that is fitted; `root` of the
            videos or None; and the `command`.
        folder: of this run.
        began: time of the start, in seconds since the epoch.

    Raises:
        ConfigError: a video has no label, or members do not belong together.
        DataError: they cannot be read.
    """
    given = config["predictions"]
    places = [given] if isinstance(given, str) else list(given)
    files = [predictions_file(place) for place in places]
    findings: dict[str, Any] = {}
    if isinstance(given, str):
        predictions = read_predictions(files[0])
    else:
        predictions, findings = _fused(config, places)
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
        environment=collect_environment(f"stored predictions {', '.join(map(str, files))}"),
        timing={"wall_seconds": time.time() - began},
        command=config["command"],
        intervals=metric_intervals(predictions, metrics),
        missing=missing_videos(
            predictions.paths,
            predictions.available,
            [file.parent / "results.json" for file in files],
        ),
        views_curve=views_curve(predictions),
        ensemble=findings,
    )
    write_predictions(folder / "predictions.parquet", predictions)
    results.save(folder / "results.json")
    root = stored_root(config["root"], files[0])
    write_report(folder, root=root)
    print_summary(results, folder)


def predictions_file(place: str) -> Path:
    """Return the Parquet file of a run folder, or the file itself."""
    path = Path(place)
    return path / "predictions.parquet" if path.is_dir() else path


def stored_root(given: str | None, file: Path) -> Path | None:
    """Return where the videos are: as given, or as the run beside the file says."""
    data = read_config(file.parent / "config.yaml").get("data") or {}
    root = given or data.get("root")
    return Path(root) if root else None


def _fused(config: Mapping[str, Any], places: Sequence[str]) -> tuple[Predictions, dict[str, Any]]:
    """Return several stored predictions as one, and what was found on the way."""
    ensemble: Ensemble = build(config["ensemble"], name="ensemble")
    if len(places) < 2:
        raise ConfigError("an ensemble needs two predictions or more; name another one")
    fit_places = list(config["fit_predictions"])
    if ensemble.fitted != bool(fit_places):
        raise ConfigError(
            f"fit_predictions=[...] is needed: ensemble.{ensemble.name} is fitted on the members' "
            f"predictions of subset {ensemble.fit_subset}, one a member in their order"
            if ensemble.fitted
            else "fit_predictions is given, but this ensemble fits nothing; leave it out"
        )
    if ensemble.fitted and len(fit_places) != len(places):
        raise ConfigError(
            f"fit_predictions has {len(fit_places)} value(s) for {len(places)} members; give one "
            "each, in their order"
        )
    members = [Member(place, read_predictions(predictions_file(place))) for place in places]
    protocols = [member.predictions.protocol for member in members]
    protocol = joint_protocol(ensemble, protocols, places)
    ensemble.check_subset(protocol["subset"])
    fused = fuse(
        ensemble,
        members,
        fit_members=[Member(each, read_predictions(predictions_file(each))) for each in fit_places],
        costs=lambda: member_costs(ensemble, [predictions_file(each).parent for each in places]),
    )
    return replace(fused.predictions, protocol=protocol), fused.findings


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
    name = protocol_name(predictions.protocol)
    if predictions.multi_label:
        found = multi_label_metrics(scores, protocol=name)
    else:
        found = video_metrics(scores, num_classes=num_classes, protocol=name)
        found |= calibration_metrics(scores, num_classes=num_classes, protocol=name)
    subset = predictions.protocol.get("subset", "test")
    return {f"{subset}/{metric}": value for metric, value in found.items()}


def _labels(predictions: Predictions) -> torch.Tensor:
    """Return class ids, int64 (N,), or bool (N, K) of multi-label predictions."""
    if not predictions.multi_label:
        return torch.tensor([labels[0] for labels in predictions.labels], dtype=torch.int64)
    lengths = np.array([len(labels) for labels in predictions.labels], dtype=np.int64)
    flat = np.array([label for labels in predictions.labels for label in labels], dtype=np.int64)
    return torch.from_numpy(multi_hot_lists(lengths, flat, len(predictions.class_names)))


def missing_videos(
    paths: Sequence[str], available: np.ndarray, beside: Sequence[Path]
) -> tuple[dict[str, str], ...]:
    """Return path and reason of the missing videos, as results beside the files give them."""
    reasons: dict[str, str] = {}
    for file in beside:
        if file.exists():
            reasons |= {entry["path"]: entry["reason"] for entry in Results.load(file).missing}
    return tuple(
        {"path": path, "reason": reasons.get(path, "has no stored prediction")}
        for path, seen in zip(paths, available, strict=True)
        if not seen
    )
