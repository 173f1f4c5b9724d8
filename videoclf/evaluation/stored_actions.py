"""The work of `evaluate.py 'predictions={verb: runs/v, noun: runs/n}'`: EPIC-KITCHENS' actions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from videoclf.errors import ConfigError
from videoclf.evaluation.actions import action_metrics, join_actions, write_actions
from videoclf.evaluation.protocols import joint_views, protocol_name
from videoclf.evaluation.stored import missing_videos, predictions_file
from videoclf.reports.environment import collect_environment
from videoclf.reports.html import write_report
from videoclf.reports.predictions import read_predictions
from videoclf.reports.results import Results
from videoclf.reports.summary import print_summary

TARGETS = ("verb", "noun")


def evaluate_actions(config: Mapping[str, Any], folder: Path, began: float) -> None:
    """Measure verbs, nouns and their joint, and write results, report and `actions.parquet`.

    Args:
        config: `predictions`, by target a run folder or a Parquet file; and the `command`.
        folder: of this run.
        began: time of the start, in seconds since the epoch.

    Raises:
        ConfigError: other targets, or predictions that do not belong together.
        DataError: they cannot be read.
    """
    given = config["predictions"]
    if set(given) != set(TARGETS):
        raise ConfigError(
            f"predictions={{{', '.join(given)}}} names other targets than verb and noun; give "
            "'predictions={verb: runs/a, noun: runs/b}', or a list for an ensemble"
        )
    files = [predictions_file(given[target]) for target in TARGETS]
    verbs, nouns = (read_predictions(file) for file in files)
    actions = join_actions(verbs, nouns, (given["verb"], given["noun"]))
    protocol = {"subset": verbs.protocol.get("subset", "test")}
    protocol |= joint_views([verbs.protocol, nouns.protocol])
    protocol |= {f"{target} of": given[target] for target in TARGETS}
    metrics, intervals = action_metrics(
        actions, subset=protocol["subset"], protocol=protocol_name(protocol)
    )
    results = Results(
        metrics=metrics,
        counts={
            "expected": len(verbs),
            "evaluated": int(np.sum(actions.available)),
            "missing": int(np.sum(~actions.available)),
        },
        protocol=protocol,
        classes=(),
        manifest_sha256=verbs.manifest_sha256,
        environment=collect_environment(f"stored predictions {', '.join(map(str, files))}"),
        timing={"wall_seconds": time.time() - began},
        command=config["command"],
        intervals=intervals,
        missing=missing_videos(
            verbs.paths, actions.available, [file.parent / "results.json" for file in files]
        ),
    )
    write_actions(folder / "actions.parquet", actions)
    results.save(folder / "results.json")
    write_report(folder, root=None)
    print_summary(results, folder)
