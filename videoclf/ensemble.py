"""The end of `evaluate.py 'checkpoint=[a,b]'`: the members' stored predictions, joined, reported.

The members have been evaluated one by one (`videoclf.members`); between them, a cascade settles
which videos the next one is asked about.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from videoclf.build import build
from videoclf.data.manifest import Manifest
from videoclf.evaluation.asked import write_asked
from videoclf.evaluation.asking import read_cascade, read_member
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.joined import evaluate_joined
from videoclf.reports.writer import write_results


def join_members(config: Mapping[str, Any], folder: Path, began: float) -> None:
    """Make the members' predictions one, measure it and write the run folder's results."""
    ensemble: Ensemble = build(config["ensemble"], name="ensemble")
    manifest = Manifest.open(config["manifest"]["path"])
    folders = _member_folders(config)
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


def find_asked(config: Mapping[str, Any], file: Path) -> None:
    """Write to a file which videos the members evaluated so far leave to the next one."""
    ensemble: Ensemble = build(config["ensemble"], name="ensemble")
    folders = _member_folders(config)
    fit_folders = folders[ensemble.fit_subset] if ensemble.fitted else []
    _, asked = read_cascade(
        ensemble, folders[config["subset"]], [read_member(folder) for folder in fit_folders]
    )
    write_asked(file, asked)


def _member_folders(config: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Return the folders of the members' evaluations, by subset."""
    given: Mapping[str, Sequence[str]] = config["member_folders"]
    return {subset: [Path(name) for name in names] for subset, names in given.items()}


def name_members(findings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return what was found, each member called by its checkpoint."""
    rows = [{**row, "name": name} for row, name in zip(findings["members"], names, strict=True)]
    return {**findings, "members": rows}
