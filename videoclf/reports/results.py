"""What a run found, as `results.json`: numbers by protocol name, and all it takes to trust them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from videoclf.cache import atomic_write
from videoclf.errors import DataError
from videoclf.reports.redaction import redact, redact_command

#: Averages of float32 probabilities may leave [0, 1] by their rounding, and by no more.
ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Results:
    """The results of one run or one evaluation.

    Args:
        metrics: by protocol name, such as "test/video_top1_10x3"; each in [0, 1], a loss at least
            0, or NaN where there was nothing to measure.
        counts: `expected`, `evaluated` and `missing` videos of the subset.
        protocol: `subset`, `num_clips`, `num_crops`, `average` and whatever else names it.
        classes: class names by class id.
        manifest_sha256: hash of the records evaluated.
        environment: from `videoclf.reports.environment.collect_environment`.
        timing: `wall_seconds`, `train_seconds`, `evaluate_seconds`, `clips_per_second`,
            `data_wait_share`; None where a part did not happen.
        command: as typed; values of secret names are hidden on saving.
        intervals: (low, high) by the name of their metric, where they were estimated.
        missing: `path` and `reason` of each video that was expected and not evaluated.
        views_curve: accuracy by the number of clips, see `videoclf.reports.estimates`.
        ensemble: of several networks: each one's own top-1, weight and share, see
            `videoclf.evaluation.fuse`.
        inference: how the network was run, and how far that moved probabilities, see
            `videoclf.evaluation.inference`.
    """

    metrics: Mapping[str, float]
    counts: Mapping[str, int]
    protocol: Mapping[str, Any]
    classes: tuple[str, ...]
    manifest_sha256: str
    environment: Mapping[str, Any]
    timing: Mapping[str, float | None]
    command: str
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    missing: tuple[Mapping[str, str], ...] = ()
    views_curve: tuple[Mapping[str, float], ...] = ()
    ensemble: Mapping[str, Any] = field(default_factory=dict)
    inference: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.metrics.items():
            most = math.inf if "loss" in name else 1 + ROUNDING
            if not math.isnan(value) and not -ROUNDING <= value <= most:
                raise ValueError(f"metric {name}={value} is outside [0, 1]; give a share, not %")
        absent = {"expected", "evaluated", "missing"} - set(self.counts)
        if absent:
            raise ValueError(f"counts lack {', '.join(sorted(absent))}: {dict(self.counts)}")
        if self.counts["expected"] != self.counts["evaluated"] + self.counts["missing"]:
            raise ValueError(f"counts do not add up: {dict(self.counts)}")

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all; NaN becomes null."""
        content = redact(_nan_to_none(asdict(self)))
        content["command"] = redact_command(self.command)
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        with atomic_write(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8", errors="replace")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote; keys of a newer version are left aside.

        Raises:
            DataError: the file is missing or is no such JSON.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            known = {f.name for f in fields(cls)}
            values = {key: value for key, value in content.items() if key in known}
            values["metrics"] = {
                name: math.nan if value is None else float(value)
                for name, value in content["metrics"].items()
            }
            values["intervals"] = {
                name: (float(low), float(high))
                for name, (low, high) in content.get("intervals", {}).items()
                if low is not None and high is not None
            }
            values["classes"] = tuple(content["classes"])
            values["missing"] = tuple(content.get("missing", ()))
            values["views_curve"] = tuple(content.get("views_curve", ()))
            return cls(**values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"cannot read the results {path}: {error}; evaluate the run again"
            ) from error


def _nan_to_none(value: Any) -> Any:
    """Return plain JSON values: JSON has no NaN, and NumPy's scalars are not JSON."""
    if isinstance(value, Mapping):
        return {str(key): _nan_to_none(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_nan_to_none(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)
