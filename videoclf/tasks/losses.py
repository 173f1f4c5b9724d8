"""The losses of a clip's logits: one class a clip (softmax) or any number of them (sigmoid).

Targets are soft where clips were mixed or labels smoothed. A focal loss weighs each term by
(1 - p)^gamma, p the probability of what is right: what is known already counts less, so that rare
and hard examples count more. With gamma 0 it is the loss it is made from.

Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 4, without its alpha.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss


def check_loss(name: str, valid: tuple[str, ...], focal_gamma: float) -> None:
    """Refuse an unknown loss or exponent.

    Raises:
        ValueError: such.
    """
    if name not in valid:
        raise ValueError(f"task.loss={name!r} must be one of {', '.join(valid)}")
    if focal_gamma != 0 and focal_gamma < 1:  # its gradient is infinite where a clip is certain
        raise ValueError(
            f"task.focal_gamma={focal_gamma} must be at least 1, or 0, which weighs all alike"
        )


def softmax_focal(
    logits: torch.Tensor, targets: torch.Tensor, *, gamma: float, label_smoothing: float
) -> torch.Tensor:
    """Return the mean focal loss of clips of one class each.

    Args:
        logits: float (N, K).
        targets: float (N, K), rows summing to 1.
        gamma: the exponent; 0 is cross-entropy.
        label_smoothing: share of the target spread evenly over the classes.
    """
    if gamma == 0:
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    log_probabilities = logits.log_softmax(-1)
    smooth = targets * (1 - label_smoothing) + label_smoothing / targets.shape[1]
    weights = (1 - log_probabilities.exp()).clamp_min(0) ** gamma
    return -(smooth * weights * log_probabilities).sum(1).mean()


def sigmoid_focal(logits: torch.Tensor, targets: torch.Tensor, *, gamma: float) -> torch.Tensor:
    """Return the mean over clips and classes of the focal loss of each class by itself.

    Args:
        logits: float (N, K).
        targets: float (N, K), each in [0, 1].
        gamma: the exponent; 0 is binary cross-entropy.
    """
    if gamma == 0:
        return F.binary_cross_entropy_with_logits(logits, targets)
    loss: torch.Tensor = sigmoid_focal_loss(
        logits, targets, alpha=-1, gamma=gamma, reduction="mean"
    )
    return loss
