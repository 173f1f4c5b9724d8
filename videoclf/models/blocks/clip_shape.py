"""Checks of a clip's shape, whose errors name the numbers and what to change.

Every model calls `check_clip` first in its forward pass: a clip with its axes in another order
would otherwise train without a complaint, or fail layers later with a message about kernels.
"""

from __future__ import annotations

import torch


def check_clip(
    rgb: torch.Tensor,
    *,
    num_frames: int | None = None,
    min_frames: int = 1,
    image_size: int | None = None,
    min_pixels: int = 1,
    channels: int = 3,
) -> None:
    """Hold a batch of clips against what a model takes.

    Args:
        rgb: what should be clips (B, 3, T, H, W); flow has 2 channels.
        num_frames: T, where the model's weights fix it.
        min_frames: least T that the model's strides leave a frame of.
        image_size: H and W, where the model's weights fix them.
        min_pixels: least H and W.
        channels: 3 of rgb, 2 of flow.

    Raises:
        ValueError: another shape.
    """
    shape = tuple(rgb.shape)
    if len(shape) != 5 or shape[1] != channels:
        raise ValueError(
            f"a batch of clips is (B, {channels}, T, H, W), not {shape}; permute its axes"
        )
    frames, height, width = shape[2:]
    if num_frames is not None and frames != num_frames:
        raise ValueError(
            f"the model was built for clips of {num_frames} frames, not {frames} (shape {shape}); "
            f"set sampler.num_frames={frames} and train anew, or give it {num_frames}"
        )
    if frames < min_frames:
        raise ValueError(
            f"the model's temporal strides need {min_frames} frames, not {frames} (shape {shape}); "
            f"raise sampler.num_frames to {min_frames}"
        )
    if image_size is not None and (height, width) != (image_size, image_size):
        raise ValueError(
            f"the model was built for crops of {image_size} x {image_size} pixels, not "
            f"{height} x {width} (shape {shape}); set transform.crop_pixels={image_size}"
        )
    if min(height, width) < min_pixels:
        raise ValueError(
            f"the model needs crops of {min_pixels} pixels a side, not {height} x {width} "
            f"(shape {shape}); raise transform.crop_pixels to {min_pixels}"
        )


def check_num_frames(num_frames: int, *, min_frames: int, reason: str) -> None:
    """Refuse, when a model is built, clips that its temporal strides would use up.

    Args:
        num_frames: T of the clips to come.
        min_frames: least T.
        reason: what uses the frames up, such as `model.temporal_pools=[2, 2, 2] shrink time by 8`.

    Raises:
        ValueError: too few frames.
    """
    if num_frames < min_frames:
        raise ValueError(
            f"{reason}, which needs clips of {min_frames} frames, not {num_frames}; "
            f"raise sampler.num_frames to {min_frames}"
        )
