"""What a video costs each member of an ensemble: as given, counted, or measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videoclf.comparing.costs import network_cost
from videoclf.errors import ConfigError, DataError
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.views import Views
from videoclf.reports.results import Results
from videoclf.reports.run_folder import read_config


@dataclass(frozen=True)
class MemberCosts:
    """Of one video, one a member, and in which unit."""

    values: tuple[float, ...]
    unit: str


def member_costs(ensemble: Ensemble, folders: Sequence[Path]) -> MemberCosts | None:
    """Return what a video costs the members, or None where that is not known.

    Args:
        ensemble: may give them.
        folders: of the members' runs, with `config.yaml` and `results.json` where they are there.

    Returns:
        `ensemble.costs`; else multiply-accumulates of all views, counted from the configs; else the
        seconds that their evaluations took; one unit for all members.
    """
    if ensemble.costs is not None:
        return MemberCosts(tuple(ensemble.costs), "as given")
    for unit, cost in (("MACs", _macs), ("seconds", _seconds)):
        values = [cost(folder) for folder in folders]
        if all(value is not None and value > 0 for value in values):
            return MemberCosts(tuple(value for value in values if value is not None), unit)
    return None


def _macs(folder: Path) -> float | None:
    config = read_config(folder / "config.yaml")
    views: dict[str, Any] = {k: v for k, v in (config.get("views") or {}).items() if k[0] != "_"}
    try:
        known = Views(**views)
        transform = dict(config.get("transform") or {})
        if known.crop_pixels is not None:
            transform["crop_pixels"] = known.crop_pixels
        cost = network_cost({**config, "transform": transform})
    except (ConfigError, ValueError, TypeError):  # such as a network of a package of one's own
        return None
    return float(cost.macs * known.num_views)


def _seconds(folder: Path) -> float | None:
    try:
        results = Results.load(folder / "results.json")
    except DataError:
        return None
    seconds, count = results.timing.get("evaluate_seconds"), results.counts["evaluated"]
    return seconds / count if seconds and count else None
