"""Several stored predictions of the same videos, brought into one order: by record, by class name.

Whatever differs is refused and named: an average over other videos would be a number of nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from videoclf.errors import ConfigError
from videoclf.evaluation.asked import Record
from videoclf.reports.predictions import Predictions


def align(members: Sequence[Predictions], names: Sequence[str]) -> list[Predictions]:
    """Bring all members into the first one's records, classes and order.

    Args:
        members: of the same subset of the same data.
        names: of the members, for messages.

    Raises:
        ConfigError: a member has other videos, classes, labels or another subset than the first.
    """
    first = members[0]
    aligned = [first]
    for member, name in zip(members[1:], names[1:], strict=True):
        _same_subset(first, member, names[0], name)
        ordered = by_records(first, member, names[0], name)
        ordered = by_classes(first, ordered, names[0], name)
        _same_labels(first, ordered, names[0], name)
        aligned.append(ordered)
    return aligned


def by_records(first: Predictions, other: Predictions, name: str, other_name: str) -> Predictions:
    """Return the other predictions in the order of the first one's records.

    Raises:
        ConfigError: they are of other videos.
    """
    listed, place = records(first), {record: i for i, record in enumerate(records(other))}
    lacking = [record for record in listed if record not in place]
    beyond = set(place) - set(listed)
    if lacking or beyond:
        where, absent = (other_name, lacking) if lacking else (name, sorted(beyond, key=str))
        raise ConfigError(
            f"{name} and {other_name} are of different videos: {where} lacks {len(absent)}, such "
            f"as {_in_words(absent[0])}; give predictions of the same list"
        )
    return other.taken(np.array([place[record] for record in listed], dtype=np.int64))


def refuse_shared_records(
    scored: Predictions, fitted: Predictions, name: str, fit_name: str
) -> None:
    """Refuse to fit on videos that are scored.

    Raises:
        ConfigError: a record stands in both.
    """
    shared = set(records(scored)) & set(records(fitted))
    if shared:
        some = _in_words(min(shared, key=str))
        raise ConfigError(
            f"{len(shared)} of the videos of {fit_name}, which the fusion is fitted on, are scored "
            f"in {name}, such as {some}; fit on predictions of another subset"
        )


def by_classes(first: Predictions, other: Predictions, name: str, other_name: str) -> Predictions:
    """Return the other predictions with the first one's classes, in their order.

    Raises:
        ConfigError: they know other classes, or several labels a video where the first has one.
    """
    if first.multi_label != other.multi_label:
        one, several = (other_name, name) if first.multi_label else (name, other_name)
        raise ConfigError(
            f"{several} is of several labels a video and {one} of one; they have no common score"
        )
    for lacks, has, lacking in (
        (other_name, name, set(first.class_names) - set(other.class_names)),
        (name, other_name, set(other.class_names) - set(first.class_names)),
    ):
        if lacking:
            raise ConfigError(
                f"{lacks} lacks {len(lacking)} of the classes of {has}: "
                f"{', '.join(sorted(lacking)[:5])}; members of an ensemble know the same classes"
            )
    if other.class_names == first.class_names:
        return other
    order = [other.class_names.index(known) for known in first.class_names]
    new_id = {old: new for new, old in enumerate(order)}
    views = other.view_probabilities
    return replace(
        other,
        class_names=first.class_names,
        labels=[tuple(new_id[label] for label in labels) for labels in other.labels],
        probabilities=other.probabilities[:, order],
        view_probabilities=None if views is None else views[..., order],
        ranks=None,  # of equal probabilities the first came first, and the first is another now
    )


def records(predictions: Predictions) -> list[Record]:
    """Return what names each video: path, start and end."""
    return list(zip(predictions.paths, predictions.starts, predictions.ends, strict=True))


def _in_words(record: Record) -> str:
    path, start, end = record
    return path if start is None and end is None else f"{path} ({start} to {end} s)"


def _same_subset(first: Predictions, other: Predictions, name: str, other_name: str) -> None:
    subsets = [str(each.protocol.get("subset", "test")) for each in (first, other)]
    if subsets[0] != subsets[1]:
        raise ConfigError(
            f"{name} is of subset {subsets[0]} and {other_name} of {subsets[1]}; give predictions "
            "of one subset"
        )


def _same_labels(first: Predictions, other: Predictions, name: str, other_name: str) -> None:
    for row, (labels, others) in enumerate(zip(first.labels, other.labels, strict=True)):
        if set(labels) != set(others):
            said = [", ".join(first.class_names[k] for k in each) for each in (labels, others)]
            raise ConfigError(
                f"{_in_words(records(first)[row])} is {said[0] or 'unlabelled'} in {name} and "
                f"{said[1] or 'unlabelled'} in {other_name}; give predictions of the same labels"
            )
