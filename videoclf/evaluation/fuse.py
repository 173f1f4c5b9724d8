"""Members' stored predictions made one, with what was found on the way: weights, ties, costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from videoclf.errors import ConfigError
from videoclf.evaluation.alignment import align, by_classes, refuse_shared_records
from videoclf.evaluation.cascade import Cascade, fit_threshold, relative_cost
from videoclf.evaluation.ensemble import FIT, Ensemble
from videoclf.evaluation.fusion import average_scores, fit_fusion, fit_weights
from videoclf.evaluation.member_costs import MemberCosts
from videoclf.evaluation.voting import vote
from videoclf.reports.predictions import Predictions
from videoclf.reports.statistics import top_hits


@dataclass(frozen=True)
class Member:
    """One member's stored predictions, and its name in messages and results.

    `whole` is False where a cascade has asked it about some of the videos only.
    """

    name: str
    predictions: Predictions
    whole: bool = True


@dataclass(frozen=True)
class Known:
    """What a fusion is fitted on: the members' scores, float32 (N, K) each, and int64 (N,)."""

    scores: tuple[torch.Tensor, ...]
    labels: torch.Tensor


@dataclass(frozen=True)
class Fused:
    """Of an ensemble.

    Args:
        predictions: in the records and classes of the first member; a video that a member misses is
            missing, in a cascade only where that member is asked. Its protocol is the first
            member's; the caller names the whole.
        findings: what `results.json` tells of it: `members` with each one's own top-1, and weight,
            share of the videos and cost where they are known; `ties`, `threshold`,
            `relative_cost`, `cost_unit`, `fitted_on`.
    """

    predictions: Predictions
    findings: dict[str, Any]


def fuse(
    ensemble: Ensemble,
    members: Sequence[Member],
    *,
    fit_members: Sequence[Member] = (),
    costs: Callable[[], MemberCosts | None] = lambda: None,
) -> Fused:
    """Make the members' predictions one.

    Args:
        ensemble: how.
        members: two or more, in their order.
        fit_members: the same with their predictions of `ensemble.fit_subset`, where something is
            fitted.
        costs: of the members, where a cascade wants to know.

    Raises:
        ConfigError: members that do not belong together, or nothing to fit on.
    """
    ensemble.check_members(len(members))
    names = [member.name for member in members]
    aligned = align([member.predictions for member in members], names)
    first = aligned[0]
    if first.multi_label and (ensemble.fusion != "average" or ensemble.fitted):
        raise ConfigError(
            "of several labels a video only ensemble.fusion=average with given weights is defined"
        )
    known = _known(ensemble, members[0], fit_members) if ensemble.fitted else None
    seen = np.logical_and.reduce([np.asarray(each.available, bool) for each in aligned])
    if ensemble.fusion == "cascade":  # what a member lacks matters where it is asked
        seen = np.ones(len(first), dtype=bool)
    scores = [with_gaps(each)[torch.from_numpy(seen)] for each in aligned]
    fused, findings, columns = _made_one(ensemble, scores, known, costs)
    probabilities = np.full(first.probabilities.shape, np.nan, dtype=np.float32)
    probabilities[seen] = fused.numpy()
    if ensemble.fusion == "cascade":
        seen = np.isfinite(probabilities).all(1)
    rows = [
        {
            "name": member.name,
            **(_own_top1(each) if member.whole else {}),
            **{key: column[i] for key, column in columns.items()},
        }
        for i, (member, each) in enumerate(zip(members, aligned, strict=True))
    ]
    if known is not None:
        findings |= {"fitted_on": {"subset": ensemble.fit_subset, "videos": len(known.labels)}}
    return Fused(
        replace(
            first,
            probabilities=probabilities,
            available=seen,
            view_probabilities=None,
            ranks=None,
            **{name: _any(aligned, name) for name in ("groups", "seconds", "motion")},
        ),
        {"fusion": ensemble.fusion, "members": rows, **findings},
    )


def _made_one(
    ensemble: Ensemble,
    scores: Sequence[torch.Tensor],
    known: Known | None,
    costs: Callable[[], MemberCosts | None],
) -> tuple[torch.Tensor, dict[str, Any], dict[str, Sequence[float]]]:
    """Return the scores, float32 (N, K), what was found of the whole, and of each member."""
    if ensemble.fusion == "vote":
        votes, ties = vote(scores, weights=ensemble.given_weights)
        return votes, {"ties": int(ties.sum())}, _weights(ensemble.given_weights)
    if ensemble.fusion == "cascade":
        return _cascaded(ensemble, scores, known, costs())
    if ensemble.fusion == "average":
        weights = ensemble.given_weights
        if ensemble.weights == FIT:
            assert known is not None
            weights = fit_weights(known.scores, known.labels, average=ensemble.average)
        fused = average_scores(scores, weights=weights, average=ensemble.average)
        return fused, {}, _weights(weights)
    assert known is not None
    classifier = fit_fusion(
        known.scores,
        known.labels,
        fusion=ensemble.fusion,
        regularization=ensemble.regularization,
    )
    return classifier(scores), {}, {}


def with_gaps(predictions: Predictions) -> torch.Tensor:
    """Return the probabilities, float32 (N, K), NaN in the rows of missing videos."""
    available = np.asarray(predictions.available, dtype=bool)
    return torch.from_numpy(np.where(available[:, None], predictions.probabilities, np.nan))


def settle_cascade(ensemble: Ensemble, scored: Member, fit_members: Sequence[Member]) -> Cascade:
    """Return how a cascade decides, its threshold fitted where none is given.

    Args:
        ensemble: a cascade.
        scored: the first member, with its predictions of what is scored.
        fit_members: the members' predictions of `ensemble.fit_subset`, where it is fitted.

    Raises:
        ConfigError: there is nothing to fit on.
    """
    return _settled(ensemble, _known(ensemble, scored, fit_members) if ensemble.fitted else None)


def _settled(ensemble: Ensemble, known: Known | None) -> Cascade:
    threshold, weights = ensemble.threshold, ensemble.given_weights
    if threshold is None:
        assert known is not None
        threshold = fit_threshold(
            known.scores,
            known.labels,
            unsure_by=ensemble.unsure_by,
            weights=weights,
            average=ensemble.average,
        )
    return Cascade(
        threshold=threshold,
        unsure_by=ensemble.unsure_by,
        weights=weights,
        average=ensemble.average,
    )


def _cascaded(
    ensemble: Ensemble,
    scores: Sequence[torch.Tensor],
    known: Known | None,
    costs: MemberCosts | None,
) -> tuple[torch.Tensor, dict[str, Any], dict[str, Sequence[float]]]:
    cascade = _settled(ensemble, known)
    answers = cascade.answer(scores)
    shares = answers.shares(len(scores))
    findings: dict[str, Any] = {"threshold": cascade.threshold, "unsure_by": ensemble.unsure_by}
    columns = {**_weights(ensemble.given_weights), "share": shares}
    if costs is not None:
        findings |= {
            "cost_unit": costs.unit,
            "mean_cost": sum(s * c for s, c in zip(shares, costs.values, strict=True)),
            "relative_cost": relative_cost(shares, costs.values),
        }
        columns["cost"] = costs.values
    return answers.probabilities, findings, columns


def _weights(weights: Sequence[float] | None) -> dict[str, Sequence[float]]:
    return {} if weights is None else {"weight": weights}


def _known(ensemble: Ensemble, scored: Member, members: Sequence[Member]) -> Known:
    """Return the members' scores of the videos to fit on, in the classes of those scored.

    Raises:
        ConfigError: there are none, they are of another subset, or they are scored too.
    """
    for member in members:
        subset = member.predictions.protocol.get("subset", "test")
        if subset != ensemble.fit_subset:
            raise ConfigError(
                f"{member.name} is of subset {subset}, and the fusion is fitted on "
                f"ensemble.fit_subset={ensemble.fit_subset}; give predictions of that"
            )
    names = [member.name for member in members]
    refuse_shared_records(scored.predictions, members[0].predictions, scored.name, names[0])
    first = by_classes(scored.predictions, members[0].predictions, scored.name, names[0])
    aligned = align([first, *(member.predictions for member in members[1:])], names)
    seen = np.logical_and.reduce([np.asarray(each.available, bool) for each in aligned])
    seen &= np.array([len(labels) > 0 for labels in first.labels], dtype=bool)
    if not seen.any():
        raise ConfigError(
            f"no video of ensemble.fit_subset={ensemble.fit_subset} has a label and predictions of "
            "all members; choose another subset"
        )
    labels = [first.labels[row][0] for row in np.flatnonzero(seen).tolist()]
    return Known(
        tuple(torch.from_numpy(each.probabilities[seen]) for each in aligned), torch.tensor(labels)
    )


def _own_top1(member: Predictions) -> dict[str, float]:
    """Return the member's own accuracy over the listed videos, where each has one label."""
    if member.multi_label or not all(member.labels) or not len(member):
        return {}
    return {"top1": float(top_hits(member, 1).mean())}


def _any(members: Sequence[Predictions], name: str) -> Any:
    """Return a column that is the same for all members from the first that has it."""
    return next((value for each in members if (value := getattr(each, name)) is not None), None)
