"""Several networks' scores of the same videos, made one: averaged, or fused by a fitted classifier.

The two-stream method averages the probabilities of a spatial and a temporal network, or fits a
linear SVM to both, stacked. What is fitted is fitted on a subset that the result says, never on
the one that is scored.

Sources: Simonyan & Zisserman 2014, "Two-Stream Convolutional Networks for Action Recognition in
Videos", section 5 (average and SVM); Wang et al. 2016, "Temporal Segment Networks" (weights 1 for
frames and 1.5 for flow); Crammer & Singer 2001, the loss of the multi-class SVM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch.nn import functional as F

#: Logarithms of probabilities that came out as 0.
_SMALLEST = 1e-12


def average_scores(
    members: Sequence[torch.Tensor],
    *,
    weights: Sequence[float] | None,
    average: Literal["probabilities", "logits"] = "probabilities",
) -> torch.Tensor:
    """Average the members' probabilities.

    Args:
        members: float (N, K) each, rows summing to 1.
        weights: one a member; None weighs all alike.
        average: `probabilities`, or `logits` for their logarithms.

    Returns:
        float32 (N, K), rows summing to 1.
    """
    if weights is None:
        weights = [1.0] * len(members)
    stacked = torch.stack([member.double() for member in members])  # (M, N, K)
    share = torch.tensor(list(weights), dtype=torch.float64) / sum(weights)
    if average == "logits":
        return (
            torch.einsum("m,mnk->nk", share, stacked.clamp_min(_SMALLEST).log()).softmax(-1).float()
        )
    return torch.einsum("m,mnk->nk", share, stacked).float()


def fit_weights(
    members: Sequence[torch.Tensor],
    labels: torch.Tensor,
    *,
    average: Literal["probabilities", "logits"] = "probabilities",
) -> tuple[float, ...]:
    """Find the weights of the average that make the true classes likeliest.

    Minimises the mean of -log(average of the true class) over weights that are at least 0 and sum
    to 1. Of probabilities this is convex; the weights move as softmax of free numbers, so that a
    member may fade to nearly 0.

    Args:
        members: float (N, K) each, rows summing to 1.
        labels: int64 (N,).
        average: as of `average_scores`.
    """
    logarithms = torch.stack([m.double().clamp_min(_SMALLEST).log() for m in members])  # (M, N, K)
    own = logarithms.gather(2, labels.expand(len(members), -1)[..., None])[..., 0]  # (M, N)
    free = torch.zeros(len(members), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([free], max_iter=500, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        solver.zero_grad()
        if average == "logits":
            mean = torch.einsum("m,mnk->nk", free.softmax(0), logarithms)
            value = F.cross_entropy(mean, labels)
        else:
            value = -(free.log_softmax(0)[:, None] + own).logsumexp(0).mean()
        value.backward()
        return value

    solver.step(objective)
    return tuple(free.detach().softmax(0).tolist())


def fit_fusion(
    members: Sequence[torch.Tensor],
    labels: torch.Tensor,
    *,
    fusion: Literal["logistic", "svm"],
    regularization: float,
) -> Callable[[Sequence[torch.Tensor]], torch.Tensor]:
    """Fit a linear classifier to the members' stacked probabilities.

    Minimises mean_n loss(W [p_1; ...; p_M] + b, y_n) + regularization * |W|^2, which is convex, so
    that the result depends on nothing else. The logarithm of a probability would blow up where a
    network is sure; the probabilities themselves are what the paper stacks.

    Args:
        members: float (N, K) each.
        labels: int64 (N,).
        fusion: `logistic` (cross-entropy) or `svm` (Crammer and Singer's margin loss).
        regularization: weight of |W|^2.

    Returns:
        A function of the members' probabilities of other videos, giving (N', K): probabilities for
        logistic, and the softmax of the margins for svm, which ranks as the margins do.
    """
    inputs = torch.cat([member.double() for member in members], dim=1)  # (N, M * K)
    num_classes = members[0].shape[1]
    weight = torch.zeros(num_classes, inputs.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=500, line_search_fn="strong_wolfe")

    def objective() -> torch.Tensor:
        solver.zero_grad()
        scores = F.linear(inputs, weight, bias)
        # the squared margin is smooth, as the solver wants it (LIBLINEAR's default likewise)
        fit = (
            F.cross_entropy(scores, labels)
            if fusion == "logistic"
            else F.multi_margin_loss(scores, labels, p=2)
        )
        value = fit + regularization * weight.square().sum()
        value.backward()
        return value

    solver.step(objective)

    def fused(scored: Sequence[torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            scores = F.linear(torch.cat([p.double() for p in scored], dim=1), weight, bias)
            return scores.softmax(-1).float()

    return fused
