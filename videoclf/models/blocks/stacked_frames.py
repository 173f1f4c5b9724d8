"""A 2D CNN whose first convolution sees all frames: their channels are stacked.

Shared by early fusion of colours and by the temporal stream of flow, which differ in the channels
of a frame and in how a first convolution for single frames is spread over them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn


def stack_frames(clips: torch.Tensor) -> torch.Tensor:
    """Stack the channels of a clip's frames, frame by frame: (B, C, T, H, W) -> (B, T C, H, W)."""
    return clips.transpose(1, 2).flatten(1, 2)  # (B, T * C, H, W)


def load_spread_weights(
    cnn: nn.Module,
    weights: Mapping[str, torch.Tensor],
    spread: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    """Load the weights of the same backbone for single frames into one of stacked frames.

    Args:
        cnn: whose first convolution takes (N, T C, H, W).
        weights: of the backbone for single frames, its first filters (O, 3, h, w).
        spread: the first filters -> (O, T C, h, w).

    Raises:
        ValueError: weights of another network.
    """
    spread_weights = dict(weights)
    for name, wide in cnn.state_dict().items():
        flat = weights.get(name)
        if flat is None or flat.shape == wide.shape:
            continue
        expected = (wide.shape[0], 3, *wide.shape[2:])
        if tuple(flat.shape) != expected:
            raise ValueError(
                f"the weight {name} {tuple(flat.shape)} is not that of a first convolution "
                f"{expected} for single frames; load weights of the same backbone"
            )
        spread_weights[name] = spread(flat)
    try:
        cnn.load_state_dict(spread_weights)
    except RuntimeError as error:
        raise ValueError(f"the weights are not those of this backbone: {error}") from error
