"""The end of `evaluate.py 'checkpoint=[a,b]'`: the members' stored predictions, joined, reported.

The members have been evaluated one by one (`videoclf.members`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videoclf.build import build
from videoclf.data.manifest import Manifest
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.joined import evaluate_joined
from videoclf.reports.writer import write_results


def join_members(config: Mapping[str, Any], folder: Path, began: float) -> None:
    """Make the members' predictions one, measure it and write the run folder's results."""
    ensemble: Ensemble = build(config["ensemble"], name="ensemble")
    manifest = Manifest.open(config["manifest"]["path"])
    folders = {
        subset: [Path(name) for name in names] for subset, names in config["member_folders"].items()
    }
    evaluation, findings = evaluate_joined(
        ensemble,
        folders[config["subset"]],
        folders[ensemble.fit_subset] if ensemble.fitted else (),
        manifest=manifest,
        subset=config["subset"],
        views_name=build(config["views"], name="views").name,
    )
    write_results(
        folder,
        config=config,
        evaluation=evaluation,
        manifest=manifest,
        device=f"stored predictions of {len(config['members'])} checkpoints",
        timing={"wall_seconds": time.time() - began, "evaluate_seconds": evaluation.seconds},
        unreadable=evaluation.scores.unreadable,
        ensemble=name_members(findings, config["members"]),
    )


def name_members(findings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return what was found, each member called by its checkpoint."""
    rows = [{**row, "name": name} for row, name in zip(findings["members"], names, strict=True)]
    return {**findings, "members": rows}
