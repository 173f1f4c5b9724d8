"""A comparison in words: columns of its table, and the sentences under it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from videoclf.comparing.comparison import Interval, Pair, Row, Table
from videoclf.comparing.differences import ABSENT
from videoclf.reports.wording import DASH, parse_metric, plural, seconds_in_words, share

CHECKPOINTS_NOT_STRATEGIES = (
    "McNemar's test compares checkpoints, not strategies: it says whether these two trained "
    "networks differ on such videos, not whether another training would find the same. For "
    "strategies the seeds are the sample."
)
_COLUMNS = (
    "",
    "seeds",
    "mean",
    "each seed",
    "95 % over seeds",
    "95 % over videos",
    "parameters",
    "MACs",
    "step",
    "training",
)


def columns(table: Table) -> tuple[str, ...]:
    """Return the names of the columns of `cells`, the first empty."""
    over = f"95 % over {'groups' if table.num_groups else 'videos'}"
    metric = parse_metric(table.metric).title
    changed = {"mean": metric, "95 % over videos": over}
    return tuple(changed.get(name, name) for name in _COLUMNS)


def cells(row: Row) -> tuple[str, ...]:
    """Return a row as texts, in the order of `columns`."""
    return (
        row.name,
        ", ".join(DASH if seed is None else str(seed) for seed in row.seeds),
        share(row.mean),
        " ".join(map(share, row.values)) if len(row.values) > 1 else "",
        interval_text(row.seed_interval),
        interval_text(row.video_interval),
        DASH if row.cost is None else count_text(row.cost.parameters),
        DASH if row.cost is None else count_text(row.cost.macs),
        seconds_text(row.step_seconds),
        seconds_in_words(row.train_seconds),
    )


def sentences(table: Table) -> list[str]:
    """Return what a reader should know of a table, each a sentence or two."""
    over = plural(table.num_videos, "video")
    if table.num_groups:
        over += f" in {plural(table.num_groups, 'group')}, which are drawn whole"
    measured = (
        f"{table.metric}, its mean over seeds. Over videos (bootstrap of {over}): what another "
        "test list would give. Over seeds (Student's t): what another training would give. MACs "
        "are of one clip; a step's time is the median as trained, waiting for data included."
    )
    alone = [row.name for row in table.rows if len(row.values) == 1]
    said = []
    if alone:
        said.append(
            f"{len(alone)} of {plural(len(table.rows), 'row')} with one seed: what another seed "
            "would change there is not known."
        )
    return [measured, *said, *table.notes]


def pair_sentence(pair: Pair, num_pairs: int) -> str:
    """Return what a test between two checkpoints found."""
    corrected = f", {p_text(pair.corrected)} by Holm's correction for {num_pairs} pairs"
    return (
        f"{pair.first} alone is right on {plural(pair.only_first, 'video')}, {pair.second} alone "
        f"on {pair.only_second:,}; both on {pair.both:,}, neither on {pair.neither:,}: "
        f"{p_text(pair.p_value)}{corrected if num_pairs > 1 else ''}"
    )


def table_title(table: Table) -> str:
    """Return in what a table's runs differ from those of the others."""
    return ", ".join(f"{key} {value}" for key, value in table.differs.items() if value != ABSENT)


def interval_text(interval: Interval | None) -> str:
    """Return "0.412 to 0.538", or a dash."""
    return DASH if interval is None else f"{share(interval[0])} to {share(interval[1])}"


def count_text(count: int) -> str:
    """Return "33.4 M" or "812 k"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= 0.9995 * size:
            digits = max(0, 2 - int(math.log10(count / size) + 1e-3))
            return f"{count / size:,.{digits}f} {letter}"
    return str(count)


def seconds_text(seconds: float | None) -> str:
    """Return "0.31 s" or "24 ms", or a dash where there is none."""
    if seconds is None:
        return DASH
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def p_text(p_value: float) -> str:
    """Return "p = 0.031" or "p < 0.0001"."""
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}"


def colours(rows: Sequence[Row], num_colours: int = 8) -> list[str]:
    """Return a colour's name in the style sheet for each row; the last are all grey."""
    return [f"row-{k + 1}" if k < num_colours else "row-more" for k in range(len(rows))]
