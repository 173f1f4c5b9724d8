"""The test protocol: which (clip, crop) pairs of a video are scored, and how they are averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True, kw_only=True)
class Views:
    """N clips x M crops a video; one prediction, averaged over them.

    Args:
        num_clips: temporal clips a video, placed by the sampler.
        num_crops: 1 centre, 3 along the longer side, 5 corners and centre, 10 those five and
            their mirrors (not for data whose classes name directions).
        average: `probabilities` (softmax first) or `logits`.

    Raises:
        ValueError: a value out of range.
    """

    num_clips: int
    num_crops: int
    average: Literal["probabilities", "logits"]

    def __post_init__(self) -> None:
        if self.num_clips < 1:
            raise ValueError(f"views.num_clips={self.num_clips} must be at least 1")
        if self.num_crops not in (1, 3, 5, 10):
            raise ValueError(f"views.num_crops={self.num_crops} must be 1, 3, 5 or 10")
        if self.average not in ("probabilities", "logits"):
            raise ValueError(f"views.average={self.average!r} must be 'probabilities' or 'logits'")

    @property
    def name(self) -> str:
        """The suffix of metric names: `10x3`, or `10x3_logits`."""
        suffix = "" if self.average == "probabilities" else f"_{self.average}"
        return f"{self.num_clips}x{self.num_crops}{suffix}"

    @property
    def num_views(self) -> int:
        """Views a video."""
        return self.num_clips * self.num_crops

    def video_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Average the views of each video.

        Args:
            logits: (B, V, K), or (B, V, S, K) where a model speaks S times a clip; the softmax
                is averaged over S in either case.

        Returns:
            float32 (B, K), rows summing to 1.
        """
        logits = logits.float()
        if self.average == "logits":
            if logits.ndim == 4:
                logits = logits.log_softmax(-1).logsumexp(2)  # (B, V, K): log of the mean, + log S
            return logits.mean(1).softmax(-1)
        probabilities = logits.softmax(-1)
        return probabilities.flatten(1, -2).mean(1)
