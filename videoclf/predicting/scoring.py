"""What a network says of batches of views."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from videoclf.errors import NonFiniteLossError
from videoclf.evaluation.views import Views


def video_probabilities(
    model: nn.Module | Callable[..., torch.Tensor],
    inputs: Mapping[str, torch.Tensor],
    views: Views,
    *,
    clips_at_once: int,
) -> torch.Tensor:
    """Score all views of some videos and make one prediction of each.

    Args:
        model: in eval mode, clips by modality -> logits (N, K), or (N, S, K).
        inputs: float32 (B * V, C, T, H, W) by modality, the views of a video in a row.
        views: how they are joined, V of them a video.
        clips_at_once: how many go through the model at once.

    Returns:
        float32 (B, K) on the CPU.

    Raises:
        NonFiniteLossError: the scores are not finite.
    """
    num_clips = len(next(iter(inputs.values())))
    with torch.inference_mode():
        pieces = [
            model(**{name: x[first : first + clips_at_once] for name, x in inputs.items()})
            for first in range(0, num_clips, clips_at_once)
        ]
        logits = torch.cat(pieces).unflatten(0, (-1, views.num_views))  # (B, V, [S,] K)
        probabilities = views.video_probabilities(logits).cpu()
    if not torch.isfinite(probabilities).all():
        raise NonFiniteLossError(
            "the model's scores are not finite; its weights have diverged: train it again with a "
            "lower optimizer.learning_rate"
        )
    return probabilities
