"""The mean over official splits, as UCF-101 and HMDB-51 are reported: each split counts once.

Source: Soomro et al. 2012, "UCF101" (CRCV-TR-12-01), section 4, and Kuehne et al. 2011, "HMDB: a
large video database for human motion recognition", section 3: three splits, performance averaged.
"""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from videoclf.comparing.differences import ABSENT, measured_as, settings
from videoclf.comparing.finished_run import FinishedRun, video_groups
from videoclf.errors import ConfigError
from videoclf.evaluation.intervals import bootstrap_interval
from videoclf.reports.statistics import Statistic, statistic_of
from videoclf.reports.wording import headline_metric

#: Official splits, by what `data` chose.
NUM_SPLITS = {"ucf101": 3, "hmdb51": 3}


@dataclass(frozen=True, kw_only=True)
class SplitMean:
    """One recipe on several official splits.

    Args:
        metric: protocol name, of each split.
        runs: by split, ascending; several seeds of a split are averaged first.
        values: of each split.
        mean: of these.
        interval: 95 % over videos, whole groups drawn, in all splits at once where a group stands
            in the test lists of several; None where it cannot be had.
        lacking: official splits of which no run was given.
    """

    metric: str
    runs: dict[int, tuple[FinishedRun, ...]]
    values: dict[int, float]
    mean: float
    interval: tuple[float, float] | None
    lacking: tuple[int, ...]

    @property
    def name(self) -> str:
        """The protocol name of the mean, such as `test/video_top1_10x1_mean_of_splits_1_2_3`."""
        return f"{self.metric}_mean_of_splits_{'_'.join(map(str, self.values))}"


def mean_over_splits(runs: Sequence[FinishedRun], *, metric: str | None = None) -> SplitMean:
    """Average runs of one recipe over the official splits.

    Args:
        runs: that differ in `data.split` and in their seed only.
        metric: protocol name; None takes the headline's.

    Raises:
        ConfigError: runs without a split, of other settings or protocols, doubled ones, a single
            split, or a metric that is not there.
    """
    by_split: dict[int, list[FinishedRun]] = {}
    for run in runs:
        split = (run.config.get("data") or {}).get("split")
        if not isinstance(split, int):
            raise ConfigError(f"{run.folder} has no data.split; name runs on UCF-101 or HMDB-51")
        by_split.setdefault(split, []).append(run)
    if len(by_split) < 2:
        raise ConfigError("a mean over splits needs runs of two splits or more (data.split=1,2,3)")
    for other in runs[1:]:
        _same_recipe(runs[0], other)
    for split, members in by_split.items():
        seeds = [run.seed for run in members]
        if len(set(seeds)) < len(seeds):
            raise ConfigError(
                f"{' and '.join(str(run.folder) for run in members)} are of split {split} and of "
                "one seed; name each once"
            )
    name = metric or headline_metric(runs[0].results) or ""
    lacking = next((run for run in runs if name not in run.results.metrics), None)
    if lacking is not None:
        known = ", ".join(lacking.results.metrics) or "none"
        raise ConfigError(f"{lacking.folder} has no metric {name!r}; it has {known}; set --metric")
    ordered = {split: tuple(by_split[split]) for split in sorted(by_split)}
    values = {
        split: statistics.fmean(run.results.metrics[name] for run in members)
        for split, members in ordered.items()
    }
    data = str((runs[0].config.get("choices") or {}).get("data"))
    official = range(1, NUM_SPLITS.get(data, max(ordered)) + 1)
    return SplitMean(
        metric=name,
        runs=ordered,
        values=values,
        mean=statistics.fmean(values.values()),
        interval=_interval(ordered, name),
        lacking=tuple(split for split in official if split not in ordered),
    )


def _same_recipe(first: FinishedRun, other: FinishedRun) -> None:
    """Refuse runs that differ in more than the split and the seed.

    Raises:
        ConfigError: they do; the setting is named with both values.
    """
    for one, two in (
        (settings(first), settings(other)),
        (measured_as(first), measured_as(other)),
    ):
        for key in dict.fromkeys([*one, *two]):
            values = one.get(key, ABSENT), two.get(key, ABSENT)
            if key != "data.split" and values[0] != values[1]:
                raise ConfigError(
                    f"{first.folder} and {other.folder} differ in {key}: {values[0]} and "
                    f"{values[1]}; a mean over splits is of one recipe, measured in one way"
                )


def _interval(runs: dict[int, tuple[FinishedRun, ...]], metric: str) -> tuple[float, float] | None:
    """Redraw groups of all test lists together; a group in several of them is drawn in all."""
    keys: list[Hashable] = []
    parts: list[tuple[int, int, int, Statistic]] = []
    for split, members in runs.items():
        for run in members:
            listed = run.predictions
            statistic = statistic_of(listed, metric)
            if statistic is None:
                return None
            records = zip(listed.paths, listed.starts, listed.ends, strict=True)
            groups = video_groups(run) or [None] * len(listed)
            begin = len(keys)
            keys += [
                record if group is None else ("group", group)
                for record, group in zip(records, groups, strict=True)
            ]
            parts.append((split, begin, len(keys), statistic))

    def mean(rows: np.ndarray) -> float:
        found: dict[int, list[float]] = {}
        for split, begin, end, statistic in parts:
            inside = rows[(rows >= begin) & (rows < end)] - begin
            found.setdefault(split, []).append(statistic(inside) if len(inside) else np.nan)
        return float(np.mean([np.mean(values) for values in found.values()]))

    return bootstrap_interval(mean, keys)
