"""Mixup and CutMix: each clip of a batch takes a part of another one, and of its label.

How a clip is mixed (which of the two, its share, its box) follows from its sample's key. With
which other clip depends on the batch, and so on the batch size and the number of ranks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from videoclf.transforms.crops import Box
from videoclf.types import Mix


class Share(NamedTuple):
    """What a clip keeps of itself, in [0, 1], and the box it takes over (CutMix), or None."""

    own: float
    box: Box | None


class Mixing:
    """Mix the clips of a batch in pairs.

    Mixup (Zhang et al. 2018) blends two clips; CutMix (Yun et al. 2019) pastes a box of the other
    one, the same in every frame. The label is mixed by the share of pixels. Shares are drawn for
    each clip, as in timm's mode `elem`.

    Args:
        probability: that a clip is mixed at all; 0 switches it off.
        cutmix_probability: that this is CutMix, not mixup.
        mixup_alpha: own shares are drawn from Beta(alpha, alpha).
        cutmix_alpha: likewise, before the box is cut off at the picture's border.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self,
        *,
        probability: float,
        cutmix_probability: float,
        mixup_alpha: float,
        cutmix_alpha: float,
    ) -> None:
        chances = {"probability": probability, "cutmix_probability": cutmix_probability}
        for name, chance in chances.items():
            if not 0 <= chance <= 1:
                raise ValueError(f"transform.mixing.{name}={chance} must be in [0, 1]")
        for name, alpha in {"mixup_alpha": mixup_alpha, "cutmix_alpha": cutmix_alpha}.items():
            if alpha <= 0:
                raise ValueError(
                    f"transform.mixing.{name}={alpha} must be above 0; switch one of the two off "
                    "by transform.mixing.cutmix_probability=0 or 1"
                )
        self.probability = probability
        self.cutmix_probability = cutmix_probability
        self.mixup_alpha = mixup_alpha
        self.cutmix_alpha = cutmix_alpha

    @property
    def active(self) -> bool:
        """Whether it changes anything."""
        return self.probability > 0

    def draw(self, height: int, width: int, generator: np.random.Generator) -> Share:
        """Draw how one clip is mixed."""
        mixed = generator.random() < self.probability
        cut = generator.random() < self.cutmix_probability
        alpha = self.cutmix_alpha if cut else self.mixup_alpha
        own = generator.beta(alpha, alpha)
        box = centred_box(height, width, 1 - own, generator)
        if not mixed:
            return Share(1.0, None)
        if not cut:
            return Share(own, None)
        return Share(1 - box.height * box.width / (height * width), box)

    def apply(
        self, clips: torch.Tensor, shares: list[Share], partner: np.ndarray
    ) -> tuple[torch.Tensor, Mix]:
        """Mix clips with their partners.

        Args:
            clips: float (N, C, T, H, W).
            shares: one a clip.
            partner: int64 (N,), the clip that each takes its part from.

        Returns:
            The mixed clips, new, and what was mixed, for the targets.
        """
        mixed = clips.clone()  # keeps the layout
        for row, (share, other) in enumerate(zip(shares, partner, strict=True)):
            if share.box is not None:
                top, left, height, width = share.box
                window = (..., slice(top, top + height), slice(left, left + width))
                mixed[row][window] = clips[other][window]
            elif share.own < 1:
                mixed[row].lerp_(clips[other], 1 - share.own)
        own = torch.tensor([share.own for share in shares], dtype=torch.float32)
        return mixed, Mix(
            partner=torch.from_numpy(partner).to(clips.device), own_share=own.to(clips.device)
        )


def draw_partners(num_clips: int, generator: np.random.Generator) -> np.ndarray:
    """Put clips in a random ring, int64 (N,): each takes from the next, none from itself."""
    ring = generator.permutation(num_clips)
    partner = np.empty_like(ring)
    partner[ring] = np.roll(ring, -1)
    return partner


def centred_box(height: int, width: int, area: float, generator: np.random.Generator) -> Box:
    """Draw a box with its centre anywhere; what reaches over the border is cut off.

    Source: Yun et al. 2019, appendix A.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        area: share of the picture, before anything is cut off.
        generator: of the centre.
    """
    box_height, box_width = int(height * math.sqrt(area)), int(width * math.sqrt(area))
    top = int(generator.integers(height)) - box_height // 2
    left = int(generator.integers(width)) - box_width // 2
    bottom, right = min(height, top + box_height), min(width, left + box_width)
    top, left = max(0, top), max(0, left)
    return Box(top, left, bottom - top, right - left)
