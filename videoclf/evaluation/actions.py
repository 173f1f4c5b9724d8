"""EPIC-KITCHENS' actions: a verb's and a noun's stored predictions, joined by segment.

An action is right where its verb and its noun are. Its probability is the product of theirs, and
the likeliest actions are ranked over all pairs of verbs and nouns, not over those seen in training.
A segment that one of the two lacks is missing.

Source: Damen et al. 2022, "Rescaling Egocentric Vision" (arXiv:2006.13256), section 4.1, and the
challenge's own scoring (github.com/epic-kitchens/C1-Action-Recognition, utils/scoring.py), which
multiplies the softmax of the 100 best verbs with that of the 100 best nouns; top-1 and top-5 are
the same over all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from videoclf.cache import atomic_write
from videoclf.errors import ConfigError
from videoclf.evaluation.alignment import by_records
from videoclf.evaluation.intervals import bootstrap_interval
from videoclf.evaluation.scores import true_class_ranks
from videoclf.reports.predictions import Predictions

TOPS = (1, 5)
#: Segments whose pairs are ranked at once: 29,100 pairs each.
_BATCH = 64


@dataclass(frozen=True)
class Actions:
    """Segments with a verb's and a noun's predictions.

    Args:
        verbs: predictions.
        nouns: of the same records, in the same order.
        ranks: by target, int32 (N,): how many classes, or pairs, come before the true one; -1
            where the segment is missing.
        best: int64 (N, 5, 2), the likeliest pairs; -1 where missing.
        best_probabilities: float32 (N, 5), NaN where missing.
    """

    verbs: Predictions
    nouns: Predictions
    ranks: dict[str, np.ndarray]
    best: np.ndarray
    best_probabilities: np.ndarray

    @property
    def available(self) -> np.ndarray:
        """Return which segments both predict, bool (N,)."""
        return self.ranks["action"] >= 0


def join_actions(verbs: Predictions, nouns: Predictions, names: tuple[str, str]) -> Actions:
    """Rank the true verb, the true noun and their pair in each segment.

    Args:
        verbs: of `data.label_column=verb`.
        nouns: of the same segments, of `data.label_column=noun`.
        names: of both, for messages.

    Raises:
        ConfigError: they are of different segments or subsets, or one is unlabelled.
    """
    nouns = by_records(verbs, nouns, *names)
    subsets = [each.protocol.get("subset", "test") for each in (verbs, nouns)]
    if subsets[0] != subsets[1]:
        raise ConfigError(f"{names[0]} is of subset {subsets[0]}, {names[1]} of {subsets[1]}")
    for each, name in zip((verbs, nouns), names, strict=True):
        if each.multi_label or not all(each.labels):
            raise ConfigError(f"{name} does not have one label a segment; evaluate labelled data")
    count = len(verbs)
    seen = np.asarray(verbs.available, bool) & np.asarray(nouns.available, bool)
    ranks = {name: np.full(count, -1, dtype=np.int32) for name in ("verb", "noun", "action")}
    best = np.full((count, max(TOPS), 2), -1, dtype=np.int64)
    best_probabilities = np.full((count, max(TOPS)), np.nan, dtype=np.float32)
    num_nouns = len(nouns.class_names)
    for rows in _batches(np.flatnonzero(seen)):
        verb, noun = (torch.from_numpy(each.probabilities[rows]) for each in (verbs, nouns))
        true = [torch.tensor([each.labels[r][0] for r in rows]) for each in (verbs, nouns)]
        pairs = (verb.double()[:, :, None] * noun.double()[:, None]).flatten(1)  # (B, V * N)
        ranks["verb"][rows] = true_class_ranks(verb, true[0])
        ranks["noun"][rows] = true_class_ranks(noun, true[1])
        ranks["action"][rows] = true_class_ranks(pairs, true[0] * num_nouns + true[1])
        top = pairs.topk(min(max(TOPS), pairs.shape[1]), dim=1)
        width = top.indices.shape[1]
        best[rows, :width, 0] = top.indices // num_nouns
        best[rows, :width, 1] = top.indices % num_nouns
        best_probabilities[rows, :width] = top.values
    return Actions(verbs, nouns, ranks, best, best_probabilities)


def action_metrics(
    actions: Actions, *, subset: str, protocol: str
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return top-1 and top-5 of verbs, nouns and actions, and 95 % intervals, by protocol name.

    Over the listed segments, such as `test/video_action_top1_10x3`; where some are missing, also
    `..._listed` and `..._available`. Intervals draw whole groups, which are videos.
    """
    metrics: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    every = np.arange(len(actions.verbs))
    seen = np.flatnonzero(actions.available)
    wanted = {"": every}
    if len(seen) < len(every):
        wanted |= {"_listed": every, "_available": seen}
    groups = actions.verbs.group_keys
    for target, ranks in actions.ranks.items():
        for top in TOPS:
            hits = (ranks >= 0) & (ranks < top)
            for over, rows in wanted.items():
                name = f"{subset}/video_{target}_top{top}_{protocol}{over}"
                counted = hits[rows].astype(np.float64)
                metrics[name] = float(counted.mean()) if len(rows) else float("nan")
                interval = bootstrap_interval(
                    lambda drawn, counted=counted: float(counted[drawn].mean()),  # type: ignore[misc]
                    [groups[int(row)] for row in rows],
                )
                if interval is not None:
                    intervals[name] = interval
    return metrics, intervals


def write_actions(path: Path, actions: Actions) -> None:
    """Write the five likeliest actions of each segment as Parquet, whole or not at all.

    Columns: `path`, `start`, `end`, `verb`, `noun` (the true ones), `verbs`, `nouns` and
    `probabilities` (lists, the likeliest first; null where missing).
    """
    verbs, nouns = actions.verbs, actions.nouns
    seen = actions.available
    names = (verbs.class_names, nouns.class_names)
    best: list[list[list[str] | None]] = [
        [
            [names[part][k] for k in pairs if k >= 0] if there else None
            for pairs, there in zip(actions.best[:, :, part], seen, strict=True)
        ]
        for part in (0, 1)
    ]
    table = pa.table(
        {
            "path": pa.array(list(verbs.paths), pa.string()),
            "start": pa.array(list(verbs.starts), pa.float64()),
            "end": pa.array(list(verbs.ends), pa.float64()),
            "verb": pa.array([verbs.class_names[k] for (k,) in verbs.labels], pa.string()),
            "noun": pa.array([nouns.class_names[k] for (k,) in nouns.labels], pa.string()),
            "verbs": pa.array(best[0], pa.list_(pa.string())),
            "nouns": pa.array(best[1], pa.list_(pa.string())),
            "probabilities": pa.array(
                [
                    row[np.isfinite(row)].tolist() if there else None
                    for row, there in zip(actions.best_probabilities, seen, strict=True)
                ],
                pa.list_(pa.float32()),
            ),
        }
    )
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _batches(rows: np.ndarray) -> Iterator[np.ndarray]:
    for begin in range(0, len(rows), _BATCH):
        yield rows[begin : begin + _BATCH]
