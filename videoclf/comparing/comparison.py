"""Runs to tables: one row a set of settings, its seeds in it; how sure, how dear, and who wins."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from videoclf.comparing.costs import Cost, network_cost
from videoclf.comparing.differences import (
    ABSENT,
    group_by_settings,
    row_names,
    split_by_aspects,
)
from videoclf.comparing.finished_run import FinishedRun, step_seconds, video_groups
from videoclf.comparing.significance import holm, mcnemar_p_value
from videoclf.errors import ConfigError
from videoclf.evaluation.intervals import bootstrap_interval, t_interval
from videoclf.reports.statistics import statistic_of, top_hits
from videoclf.reports.wording import headline_metric

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Runs that differ in their seed only.

    Args:
        name: in what they differ from the other rows.
        runs: ascending by seed.
        values: the metric of each run.
        seed_interval: 95 % of the mean over seeds, cut to [0, 1]; None with one seed.
        video_interval: 95 % over videos or groups of them; None where it cannot be had.
        cost: of the network; None where it cannot be built.
        step_seconds: of a training step, mean over runs; None where too little was logged.
        train_seconds: of a training, mean over runs; None for evaluations.
    """

    name: str
    runs: tuple[FinishedRun, ...]
    values: tuple[float, ...]
    seed_interval: Interval | None
    video_interval: Interval | None
    cost: Cost | None
    step_seconds: float | None
    train_seconds: float | None

    @property
    def mean(self) -> float:
        """The metric's mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """Of the runs, in their order."""
        return tuple(run.seed for run in self.runs)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two checkpoints on the same videos, by top-1.

    Args:
        first: name of the row, with the seed where it has several.
        second: the same.
        both: videos that both get right.
        only_first: videos that only the first gets right.
        only_second: videos that only the second gets right.
        neither: videos that both get wrong.
        p_value: of McNemar's exact test.
        corrected: by Holm, for the number of pairs.
    """

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float
    corrected: float


@dataclass(frozen=True, kw_only=True)
class Table:
    """Runs that are comparable.

    Args:
        differs: what tells this table's runs from those of other tables; empty if there is one.
        metric: its protocol name.
        rows: the best first.
        num_videos: of the test list.
        num_groups: of these videos; 0 where none is known.
        pairs: tests between checkpoints.
        notes: what a reader should know, sentences.
    """

    differs: Mapping[str, str]
    metric: str
    rows: tuple[Row, ...]
    num_videos: int
    num_groups: int
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]


def compare(
    runs: Sequence[FinishedRun], *, metric: str | None = None, allow_different: bool = False
) -> list[Table]:
    """Compare runs.

    Args:
        runs: at least two.
        metric: protocol name; None takes the headline's.
        allow_different: put runs that are not comparable into tables of their own.

    Raises:
        ConfigError: too few runs, runs that are not comparable, or a metric that is not there.
    """
    if len(runs) < 2:
        raise ConfigError("a comparison needs two runs or more; name another run folder")
    parts = split_by_aspects(runs)
    if len(parts) > 1 and not allow_different:
        raise ConfigError(_refusal(parts))
    return [_table(differs, members, metric) for differs, members in parts]


def _refusal(parts: Sequence[tuple[dict[str, str], list[FinishedRun]]]) -> str:
    (first, one), (second, other) = parts[:2]
    both = [k for k in first if ABSENT not in (first[k], second[k])]
    said = [f"{k} {first[k]} and {second[k]}" for k in both if first[k] != second[k]]
    return (
        f"{one[0].folder} and {other[0].folder} are not comparable: {'; '.join(said)}; evaluate "
        "both on the same list in the same way (python evaluate.py checkpoint=...), or see them "
        "in separate tables by --allow-different"
    )


def _table(differs: Mapping[str, str], runs: Sequence[FinishedRun], metric: str | None) -> Table:
    name = metric or headline_metric(runs[0].results) or ""
    lacking = next((run for run in runs if name not in run.results.metrics), None)
    if lacking is not None:
        known = ", ".join(lacking.results.metrics) or "none"
        raise ConfigError(f"{lacking.folder} has no metric {name!r}; it has {known}; set --metric")
    groups, notes = _groups(runs)
    sets, dropped = _one_a_seed(group_by_settings(runs))
    notes += dropped
    titles = row_names([members[0] for members in sets])
    costs: dict[str, Cost | None] = {}
    rows = []
    for title, members in zip(titles, sets, strict=True):
        key = str([members[0].config.get(k) for k in ("model", "sampler", "transform", "members")])
        if key not in costs:
            costs[key], said = _cost(title, members[0].config)
            notes += said
        rows.append(_row(title, members, name, groups, costs[key]))
    rows.sort(key=lambda row: (math.isnan(row.mean), -row.mean, row.name))
    pairs, said = _pairs(rows)
    return Table(
        differs=differs,
        metric=name,
        rows=tuple(rows),
        num_videos=len(groups),
        num_groups=len({group for group in groups if group is not None}),
        pairs=tuple(pairs),
        notes=(*notes, *said, *_devices(rows)),
    )


def _row(
    name: str,
    runs: Sequence[FinishedRun],
    metric: str,
    groups: Sequence[Hashable],
    cost: Cost | None,
) -> Row:
    values = tuple(run.results.metrics[metric] for run in runs)
    found = [statistic_of(run.predictions, metric) for run in runs]
    known = [statistic for statistic in found if statistic is not None]
    over_videos = None
    if len(known) == len(runs):

        def mean(rows: np.ndarray) -> float:
            return statistics.fmean(statistic(rows) for statistic in known)

        over_videos = bootstrap_interval(mean, groups)
    over_seeds = t_interval(values) if not any(map(math.isnan, values)) else None
    return Row(
        name=name,
        runs=tuple(runs),
        values=values,
        seed_interval=over_seeds and (max(0.0, over_seeds[0]), min(1.0, over_seeds[1])),
        video_interval=over_videos,
        cost=cost,
        step_seconds=_mean([step_seconds(run.folder) for run in runs]),
        train_seconds=_mean([run.results.timing.get("train_seconds") for run in runs]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _groups(runs: Sequence[FinishedRun]) -> tuple[list[Hashable], list[str]]:
    """Find the groups of the videos from any of the runs; all have the same list."""
    for run in runs:
        if (found := video_groups(run)) is not None:
            return found, []
    note = (
        "The manifest is no longer in the cache, so groups of videos (scenes, persons) are "
        "unknown: intervals over videos take each video as independent."
    )
    return [None] * len(runs[0].predictions), [note]


def _one_a_seed(
    sets: Sequence[list[FinishedRun]],
) -> tuple[list[list[FinishedRun]], list[str]]:
    """Keep the latest run of each seed: a repetition is no further sample of trainings."""
    kept, notes = [], []
    for members in sets:
        by_seed: dict[int | None, FinishedRun] = {}
        for run in sorted(members, key=lambda r: (r.folder / "results.json").stat().st_mtime):
            if (earlier := by_seed.get(run.seed)) is not None:
                notes.append(
                    f"{earlier.folder} is left out: {run.folder} has the same settings and seed "
                    f"({run.seed}) and is later."
                )
            by_seed[run.seed] = run
        kept.append(sorted(by_seed.values(), key=lambda r: (r.seed is None, r.seed or 0)))
    return kept, notes


def _cost(name: str, config: Mapping[str, Any]) -> tuple[Cost | None, list[str]]:
    try:
        return network_cost(config), []
    except ConfigError as error:
        return None, [f"Parameters and operations of {name} are not known: {error}."]


def _devices(rows: Sequence[Row]) -> list[str]:
    """Times are comparable on equal machines only."""
    seen = {
        f"{run.results.environment.get('device')}, {run.results.environment.get('cpu_count')} cores"
        for row in rows
        for run in row.runs
    }
    if len(seen) < 2:
        return []
    return [f"Times are not comparable: they are of {'; '.join(sorted(seen))}."]


def _pairs(rows: Sequence[Row]) -> tuple[list[Pair], list[str]]:
    """Test the two checkpoints there are, or those of the best two rows: seed against seed."""
    runs = [(row, run) for row in rows for run in row.runs]
    if len(runs) == 2:
        chosen = [(runs[0], runs[1])]
    elif len(rows) > 1:
        first, second = ([(row, run) for run in row.runs] for row in rows[:2])
        every = [(a, b) for a in first for b in second]
        chosen = [(a, b) for a, b in every if a[1].seed == b[1].seed] or every
    else:
        return [], []
    if any(run.predictions.multi_label for pair in chosen for _, run in pair):
        return [], ["McNemar's test is for videos with one label each."]
    counts = [_count(a[1], b[1]) for a, b in chosen]
    p_values = [mcnemar_p_value(found["only_first"], found["only_second"]) for found in counts]
    return [
        Pair(first=_title(*a), second=_title(*b), p_value=p_value, corrected=corrected, **found)
        for (a, b), found, p_value, corrected in zip(
            chosen, counts, p_values, holm(p_values), strict=True
        )
    ], []


def _count(first: FinishedRun, second: FinishedRun) -> dict[str, int]:
    a, b = top_hits(first.predictions, 1), top_hits(second.predictions, 1)
    return {
        "both": int((a & b).sum()),
        "only_first": int((a & ~b).sum()),
        "only_second": int((~a & b).sum()),
        "neither": int((~a & ~b).sum()),
    }


def _title(row: Row, run: FinishedRun) -> str:
    return row.name if len(row.runs) == 1 else f"{row.name} (seed {run.seed})"
