"""Members vote for their likeliest class; summed probabilities settle a tie."""

from __future__ import annotations

from collections.abc import Sequence

import torch

#: How much of the gap between two numbers of votes summed probabilities may fill: enough for
#: float32 to tell them apart, too little to turn a vote.
_FILL = 1 / 16
#: Sums of weights that differ by less are equal.
_EQUAL = 1e-9


def vote(
    members: Sequence[torch.Tensor], *, weights: Sequence[float] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Let the members vote.

    The result ranks classes by votes and, among equal votes, by the sum of the members'
    probabilities, so top-5 has an order below the first class too.

    Args:
        members: float (N, K) each, rows summing to 1.
        weights: of the members' votes; None gives each one vote.

    Returns:
        float32 (N, K), rows summing to 1: shares of the votes, moved a little by the summed
        probabilities; and bool (N,), True where the most votes were shared by several classes.
    """
    given = torch.tensor(weights or [1.0] * len(members), dtype=torch.float64)  # (M,)
    share = given / given.sum()
    stacked = torch.stack([member.double() for member in members])  # (M, N, K)
    chosen = torch.nn.functional.one_hot(stacked.argmax(-1), stacked.shape[-1]).double()
    votes = torch.einsum("m,mnk->nk", share, chosen)  # (N, K)
    summed = torch.einsum("m,mnk->nk", share, stacked)  # (N, K), in [0, 1]
    most = votes.amax(1, keepdim=True)
    ties = (votes > most - _EQUAL).sum(1) > 1
    scores = votes + _FILL * _smallest_gap(votes) * summed
    return (scores / scores.sum(1, keepdim=True)).float(), ties


def _smallest_gap(votes: torch.Tensor) -> torch.Tensor:
    """Return the smallest difference between unequal votes of a video, (N, 1)."""
    gaps = votes.sort(1).values.diff(dim=1)  # (N, K - 1)
    if not gaps.shape[1]:
        return torch.ones_like(votes)
    gaps = gaps.where(gaps > _EQUAL, torch.inf).amin(1, keepdim=True)
    return gaps.where(gaps.isfinite(), 1.0)
