"""The next network is asked only where those before it are unsure: their answer, and what it costs.

A video's answer is the average over the members that were asked, so that none is asked in vain.

Source: Wang et al. 2022, "Wisdom of Committees: An Overlooked Approach To Faster and More Accurate
Models" (arXiv:2012.01988), section 4: cascades of ensembles, by confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from videoclf.evaluation.fusion import average_scores

#: Thresholds that are tried where one is fitted: 0, 0.01, ... 1.
CANDIDATES = tuple(step / 100 for step in range(101))


@dataclass(frozen=True)
class Answers:
    """What a cascade says of N videos.

    Args:
        probabilities: float32 (N, K); NaN where a member that was asked lacks the video.
        asked: int64 (N,), how many members each video went through.
        unsure: bool (N,), where a further member would be asked.
    """

    probabilities: torch.Tensor
    asked: torch.Tensor
    unsure: torch.Tensor

    def shares(self, num_members: int) -> tuple[float, ...]:
        """Return the share of the answered videos that each member scored; NaN without any."""
        asked = self.asked[self.probabilities.isfinite().all(1)]
        return tuple(float((asked > member).double().mean()) for member in range(num_members))


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """How a cascade decides.

    Args:
        threshold: below which it is unsure.
        unsure_by: `confidence`, the highest probability, or the `margin` to the second one.
        weights: of the members in the average; None weighs all alike.
        average: as of `average_scores`.
    """

    threshold: float
    unsure_by: Literal["confidence", "margin"]
    weights: Sequence[float] | None
    average: Literal["probabilities", "logits"]

    def answer(self, members: Sequence[torch.Tensor]) -> Answers:
        """Go through the members in their order.

        Args:
            members: float (N, K) each; NaN in the rows of videos that a member lacks.
        """
        probabilities = average_scores(members[:1], weights=self._first(1), average=self.average)
        asked = torch.ones(len(probabilities), dtype=torch.int64)
        unsure = self._certainty(probabilities) < self.threshold
        for count in range(2, len(members) + 1):
            probabilities[unsure] = average_scores(
                [member[unsure] for member in members[:count]],
                weights=self._first(count),
                average=self.average,
            )
            asked[unsure] = count
            unsure = unsure & (self._certainty(probabilities) < self.threshold)
        return Answers(probabilities, asked, unsure)

    def _first(self, count: int) -> list[float] | None:
        """Return the weights of the first members; alike where all of theirs are 0."""
        first = list(self.weights or [])[:count]
        return first if sum(first) > 0 else None

    def _certainty(self, probabilities: torch.Tensor) -> torch.Tensor:
        if self.unsure_by == "confidence" or probabilities.shape[1] < 2:
            return probabilities.amax(1)
        first, second = probabilities.topk(2, dim=1).values.unbind(1)
        return first - second


def fit_threshold(
    members: Sequence[torch.Tensor],
    labels: torch.Tensor,
    *,
    unsure_by: Literal["confidence", "margin"],
    weights: Sequence[float] | None,
    average: Literal["probabilities", "logits"],
) -> float:
    """Return the lowest of `CANDIDATES` at which as many videos are right as at the highest.

    So the cascade is as cheap as it can be without a loss on these videos against asking all.

    Args:
        members: float (N, K) each.
        labels: int64 (N,).
        unsure_by: as of `Cascade`.
        weights: as of `Cascade`.
        average: as of `average_scores`.
    """

    def right(threshold: float) -> int:
        cascade = Cascade(
            threshold=threshold, unsure_by=unsure_by, weights=weights, average=average
        )
        return int((cascade.answer(members).probabilities.argmax(1) == labels).sum())

    enough = right(CANDIDATES[-1])
    return next(threshold for threshold in CANDIDATES if right(threshold) >= enough)


def relative_cost(shares: Sequence[float], costs: Sequence[float]) -> float:
    """Return a video's mean cost relative to asking all members: in (0, 1]."""
    return sum(s * c for s, c in zip(shares, costs, strict=True)) / sum(costs)
