"""Which place of a clip a transformer's tokens stand for."""

from __future__ import annotations

from functools import singledispatch

import torch
from torch import nn

from videoclf.models.blocks.pooling_attention import strided
from videoclf.models.mvit import MViT
from videoclf.models.timesformer import TimeSformer
from videoclf.models.videomae import VideoMAE
from videoclf.models.vivit import ViViT
from videoclf.models.vjepa2 import VJEPA2

#: Steps in time, rows, columns.
Grid = tuple[int, int, int]


@singledispatch
def token_grid(model: nn.Module, rgb: torch.Tensor) -> Grid:
    """Return how many tokens enter the last block in time, down and across.

    Args:
        model: a transformer.
        rgb: clips (B, 3, T, H, W).

    Raises:
        ValueError: the model is none that is known here.
    """
    raise ValueError(
        f"which places of a clip {tuple(rgb.shape)} the tokens of {type(model).__name__} stand for "
        "is not known; register it with videoclf.explaining.grids.token_grid"
    )


@token_grid.register
def _(model: TimeSformer, rgb: torch.Tensor) -> Grid:
    num_frames, height, width = rgb.shape[2:]
    return num_frames, height // model.patch_pixels, width // model.patch_pixels


@token_grid.register
def _(model: ViViT, rgb: torch.Tensor) -> Grid:
    num_frames, height, width = rgb.shape[2:]
    pixels = model.patch_pixels
    return num_frames // model.min_frames, height // pixels, width // pixels


@token_grid.register
def _(model: VideoMAE, rgb: torch.Tensor) -> Grid:
    return model.encoder.grid_of(*rgb.shape[2:])


@token_grid.register
def _(model: VJEPA2, rgb: torch.Tensor) -> Grid:
    return model.encoder.grid_of(*rgb.shape[2:])


@token_grid.register
def _(model: MViT, rgb: torch.Tensor) -> Grid:
    num_frames, height, width = rgb.shape[2:]
    grid = (-(-num_frames // 2), -(-height // 4), -(-width // 4))
    for _ in [block for block in model.widening_blocks if block < len(model.blocks) - 1]:
        grid = strided(grid, 2)
    return grid
