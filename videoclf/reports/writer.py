"""What a run leaves for people and scripts: results.json, predictions, skipped list, report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videoclf.build import build
from videoclf.cache import atomic_write
from videoclf.data.flow_source import FlowSource
from videoclf.evaluation.scores import Scores
from videoclf.evaluation.views import Views
from videoclf.reports.environment import collect_environment
from videoclf.reports.estimates import metric_intervals, views_curve
from videoclf.reports.filmstrip import FrameReader, read_evenly
from videoclf.reports.flow_frames import frames_with_flow
from videoclf.reports.html import write_report
from videoclf.reports.predictions import Predictions, write_predictions
from videoclf.reports.reconstructions import write_reconstructions
from videoclf.reports.results import Results
from videoclf.reports.summary import print_summary
from videoclf.types import Unreadable

if TYPE_CHECKING:
    from videoclf.data.manifest import Manifest
    from videoclf.evaluation.evaluator import Evaluation


def write_results(
    folder: Path,
    *,
    config: Mapping[str, Any],
    evaluation: Evaluation,
    manifest: Manifest,
    device: str,
    timing: Mapping[str, float],
    unreadable: Sequence[Unreadable],
    ensemble: Mapping[str, Any] | None = None,
) -> None:
    """Write all files of a run folder's end, and print the summary.

    Args:
        folder: of the run.
        config: as resolved.
        evaluation: scores and metrics of the final evaluation.
        manifest: all records.
        device: what computed.
        timing: seconds and shares by name.
        unreadable: every record of any subset that could not be read.
        ensemble: of several networks, what was found of them.
    """
    scores = evaluation.scores
    views: Views = build(config["views"], name="views")
    protocol = {"subset": evaluation.subset, **views.protocol()}
    if not isinstance(scores, Scores):
        for key in ("average", "activation"):  # of what a model says of the views, not of losses
            protocol.pop(key, None)
    protocol |= {"ema_decay": config.get("ema_decay")}
    if config["data"].get("label_version"):
        protocol["label_version"] = config["data"]["label_version"]
    if config.get("head_of", "new") != "new":
        protocol["head_of"] = config["head_of"]
    if config.get("weights"):
        protocol |= {"weights": config["weights"], "overridden": config.get("overridden")}
    if config.get("members"):
        protocol |= {"ensemble": _without_target(config["ensemble"]), "members": config["members"]}
    predictions = None
    if isinstance(scores, Scores):
        predictions = _predictions(scores, manifest, protocol)
        write_predictions(folder / "predictions.parquet", predictions)
    results = Results(
        metrics=evaluation.metrics,
        counts={
            "expected": len(scores.rows),
            "evaluated": len(scores.rows) - scores.num_missing,
            "missing": scores.num_missing,
        },
        protocol=protocol,
        classes=manifest.class_names,
        manifest_sha256=manifest.sha256,
        environment=collect_environment(device),
        timing=timing,
        command=config["command"],
        intervals=metric_intervals(predictions, evaluation.metrics) if predictions else {},
        missing=tuple({"path": u.path, "reason": u.reason} for u in scores.unreadable),
        views_curve=views_curve(predictions) if predictions else (),
        ensemble=ensemble or {},
        inference=evaluation.inference,
    )
    if evaluation.reconstructions:
        write_reconstructions(folder, evaluation.reconstructions)
    with atomic_write(folder / "skipped.jsonl") as temporary:
        lines = [json.dumps({"path": u.path, "reason": u.reason}) + "\n" for u in unreadable]
        temporary.write_text("".join(lines), encoding="utf-8")
    results.save(folder / "results.json")
    root = Path(config["data"]["root"])
    write_report(folder, root=root, read_frames=_frame_reader(config["data"], root))
    print_summary(results, folder)


def _predictions(scores: Scores, manifest: Manifest, protocol: Mapping[str, Any]) -> Predictions:
    rows = manifest.table.take(scores.rows.numpy())
    known = {name: values.numpy() for name, values in scores.columns.items()}
    return Predictions(
        paths=rows["path"].to_pylist(),
        starts=rows["start"].to_pylist(),
        ends=rows["end"].to_pylist(),
        labels=rows["labels"].to_pylist(),
        probabilities=scores.probabilities.numpy(),
        available=scores.available.numpy(),
        class_names=manifest.class_names,
        protocol=protocol,
        manifest_sha256=manifest.sha256,
        multi_label=scores.labels.ndim == 2,
        view_probabilities=known.get("views"),
        groups=rows["group"].to_pylist(),
        seconds=known.get("seconds"),
        motion=known.get("motion"),
        ranks=known.get("ranks"),
    )


def _frame_reader(data: Mapping[str, Any], root: Path) -> FrameReader:
    """Return what reads the pictures of mistakes: frames, with their flow where the run sees it."""
    if "flow" not in data["modalities"]:
        return read_evenly
    flow = FlowSource(
        folder=data["flow_folder"],
        method=data["flow_method"],
        bound_pixels=data["flow_bound_pixels"],
    )
    return frames_with_flow(root, flow, data["reader"])


def _without_target(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "_target_"}
