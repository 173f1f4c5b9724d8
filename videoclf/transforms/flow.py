"""Optical flow on the device: 8-bit codes of displacements, mirrored and brought to [-1, 1].

A code of c stands for the displacement (2 c / 255 - 1) * bound, so that [-1, 1] is all that was
stored (`videoclf.flow.quantisation`). A mirrored video moves the other way: x changes its sign.
"""

from __future__ import annotations

import torch

LARGEST_CODE = 255


def mirror_codes(codes: torch.Tensor) -> torch.Tensor:
    """Return the codes of the flow of mirrored clips, uint8 (N, 2, T, H, W)."""
    mirrored = codes.flip(4)
    mirrored[:, 0] = LARGEST_CODE - mirrored[:, 0]
    return mirrored


def normalise_codes(codes: torch.Tensor, *, subtract_mean: bool) -> torch.Tensor:
    """Turn codes into displacements in bounds.

    Args:
        codes: uint8 (N, 2, T, H, W).
        subtract_mean: take each field's mean vector off it, for what the camera does. Source:
            Simonyan and Zisserman 2014, section 3.

    Returns:
        float32 (N, 2, T, H, W), in [-1, 1] unless the mean was subtracted.
    """
    fields = codes.to(torch.float32, copy=True).mul_(2 / LARGEST_CODE).sub_(1)
    if subtract_mean:
        fields -= fields.mean((3, 4), keepdim=True)
    return fields
