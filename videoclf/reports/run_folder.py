"""What lies in a run folder beside the results, for the report: the config and what was skipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from videoclf.reports.redaction import redact
from videoclf.reports.results import Results

#: The groups of a config that tell one run from another at a glance.
SHOWN_CHOICES = (
    "model",
    "task",
    "data",
    "experiment",
    "sampler",
    "transform",
    "optimizer",
    "trainer",
)

#: Options that go without saying.
UNSAID = (None, "default", "classification")


def read_config(path: Path) -> dict[str, Any]:
    """Return the resolved config with secrets hidden; empty where there is none."""
    if not path.exists():
        return {}
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    return redact(config) if isinstance(config, dict) else {}


def config_text(config: Mapping[str, Any]) -> str:
    """Return a config as YAML, in its own order."""
    if not config:
        return ""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True, width=100)


def run_choices(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (group, choice) of what tells this run from another, and its seed."""
    choices = config.get("choices")
    given = choices if isinstance(choices, Mapping) else {}
    pairs = [(group, given.get(group)) for group in SHOWN_CHOICES] + [("seed", config.get("seed"))]
    return [(name, str(value)) for name, value in pairs if value not in UNSAID]


def run_title(config: Mapping[str, Any], run_folder: Path) -> str:
    """Return "slow_fusion on moving_shapes", or what else the run is called."""
    choices = dict(run_choices(config))
    if "model" in choices and "data" in choices:
        return f"{choices['model']} on {choices['data']}"
    return str(config.get("name") or run_folder.resolve().name)


def read_skipped(path: Path, results: Results) -> list[dict[str, str]]:
    """Return path and reason of each video left out elsewhere than in this evaluation.

    Half a last line, which a kill may leave, is no entry.
    """
    missing = {entry.get("path") for entry in results.missing}
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict) and entry.get("path") not in missing:
            entries.append({key: str(entry.get(key, "")) for key in ("path", "reason")})
    return entries
