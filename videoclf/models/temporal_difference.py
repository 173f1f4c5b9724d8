"""Temporal difference: a small 3D CNN that sees only what changes from frame to frame.

When to use it: on few real videos, from scratch, where motion and not the scene should decide.

The network is given the differences of consecutive frames, each clip scaled to unit strength, so
that it can learn neither colours nor places. From scratch on few videos this is what generalises
to new scenes; what stands still it cannot see at all.

    d_t = x_{t+1} - x_t,  t = 1 .. T-1;    logits = f(d / (std(d) + eps))

Source: Wang et al. 2016, "Temporal Segment Networks", section 3.2 (RGB difference as input); the
network behind it is that of `slow_fusion`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.slow_fusion import SlowFusion
from videoclf.value_types import Count


class TemporalDifference(SlowFusion):
    """`SlowFusion` on normalised frame differences.

    Args:
        num_classes: K.
        num_frames: T of the clips, at least 2.
        widths: channels of each stage.
        temporal_strides: of each stage's first convolution.
        convs_per_stage: convolutions a stage.
        dropout: before the classifier.
        floor: eps, added to the standard deviation, in units of the input; it keeps the noise of a
            clip without motion from being blown up.

    Raises:
        ValueError: too few frames for a difference or for the strides.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        widths: Sequence[Count],
        temporal_strides: Sequence[Count],
        convs_per_stage: Count,
        dropout: float,
        floor: float,
    ) -> None:
        if num_frames < 2:
            raise ValueError(
                f"a difference needs two frames, and a clip has {num_frames}; "
                "raise sampler.num_frames"
            )
        super().__init__(
            num_classes=num_classes,
            num_frames=num_frames - 1,
            widths=widths,
            temporal_strides=temporal_strides,
            convs_per_stage=convs_per_stage,
            dropout=dropout,
        )
        self.floor = floor

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode the differences of clips (B, 3, T, H, W) -> (B, D)."""
        check_clip(rgb, min_frames=self.min_frames + 1)
        differences = rgb[:, :, 1:] - rgb[:, :, :-1]  # (B, 3, T - 1, H, W)
        strength = differences.std(dim=(1, 2, 3, 4), keepdim=True)  # (B, 1, 1, 1, 1)
        return super().features(differences / (strength + self.floor))  # (B, D)
