"""A cascade of checkpoints so far: each member scored what those before it left unsure.

What the members say together is what a cascade over predictions of all videos says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from videoclf.errors import WorkerError
from videoclf.evaluation.alignment import align, records
from videoclf.evaluation.asked import Record
from videoclf.evaluation.cascade import Cascade
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.fuse import Member, settle_cascade, with_gaps
from videoclf.reports.predictions import Predictions, read_predictions


def read_cascade(
    ensemble: Ensemble, folders: Sequence[Path], fit_members: Sequence[Member]
) -> tuple[list[Member], list[Record]]:
    """Read the members one after the other, and find where the next one is asked.

    Args:
        ensemble: a cascade.
        folders: of the first members' evaluations; that of one that was asked nothing is not read.
        fit_members: all members' predictions of `ensemble.fit_subset`, where a threshold is fitted.

    Returns:
        The members, all in the first one's records and classes, with gaps where they were not
        asked; and the records on which the average of all of them is unsure.

    Raises:
        ConfigError: members that do not belong together, or nothing to fit on.
        DataError: a member's predictions cannot be read.
        WorkerError: a member's predictions are not of the videos that it was to be asked.
    """
    first = read_member(folders[0])
    cascade = settle_cascade(ensemble, first, fit_members)
    members = [first]
    for folder in folders[1:]:
        members.append(_read_asked(folder, first, _unsure(cascade, members)))
    listed = records(first.predictions)
    return members, [listed[row] for row in _unsure(cascade, members)]


def read_member(folder: Path) -> Member:
    """Read a member's predictions; in messages it is called by its folder's name, `1_test`."""
    return Member(folder.name, read_predictions(folder / "predictions.parquet"))


def _unsure(cascade: Cascade, members: Sequence[Member]) -> np.ndarray:
    """Return the rows that a further member is asked about, int64."""
    answers = cascade.answer([with_gaps(member.predictions) for member in members])
    return np.flatnonzero(answers.unsure.numpy())


def _read_asked(folder: Path, first: Member, rows: np.ndarray) -> Member:
    """Read the predictions of a member that was asked about some rows of the first one's."""
    listed: Predictions = first.predictions
    probabilities = np.full_like(listed.probabilities, np.nan)
    available = np.zeros(len(listed), dtype=bool)
    if len(rows):
        asked, own = listed.taken(rows), read_member(folder).predictions
        if sorted(records(own), key=str) != sorted(records(asked), key=str):
            raise WorkerError(
                f"{folder} is of {len(own)} videos, and not of the {len(asked)} on which the "
                "members before it are unsure: some were lost; start the ensemble again"
            )
        ordered = align([asked, own], [first.name, folder.name])[1]
        probabilities[rows], available[rows] = ordered.probabilities, ordered.available
    spread = replace(
        listed,
        probabilities=probabilities,
        available=available,
        view_probabilities=None,
        ranks=None,
    )
    return Member(folder.name, spread, whole=False)
