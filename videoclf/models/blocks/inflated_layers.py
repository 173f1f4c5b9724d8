"""Layers of a 2D network given an extent in time, for `videoclf.models.inflation`.

Each takes maps (B, C, T, H, W) where its original takes (N, C, H, W), and on a video of one
repeated frame returns what the original returns for that frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.timm_norms import loaded_timm_norms

if TYPE_CHECKING:
    from timm.layers import BatchNormAct2d


class InflatedConv3d(nn.Conv3d):
    """A 2D convolution given `temporal_kernel` frames; (B, C, T, H, W) -> (B, O, T', H', W').

    Args:
        convolution: padded with zeros, by numbers.
        temporal_kernel: an odd number of frames.
        temporal_stride: by which time is shortened, rounded up.
        initialization: repeat or centre, see `inflate_kernel`.
        time_padding: zeros; replicate, the first and the last frame once more; or circular, where
            the last frame precedes the first.
    """

    def __init__(
        self,
        convolution: nn.Conv2d,
        *,
        temporal_kernel: int,
        temporal_stride: int,
        initialization: str,
        time_padding: str,
    ) -> None:
        height, width = (int(side) for side in convolution.padding)
        super().__init__(
            convolution.in_channels,
            convolution.out_channels,
            kernel_size=(temporal_kernel, *pair(convolution.kernel_size)),
            stride=(temporal_stride, *pair(convolution.stride)),
            padding=(temporal_kernel // 2, height, width),
            dilation=(1, *pair(convolution.dilation)),
            groups=convolution.groups,
            bias=convolution.bias is not None,
            device=convolution.weight.device,
            dtype=convolution.weight.dtype,
        )
        self.time_padding = time_padding
        with torch.no_grad():
            self.weight.copy_(inflate_kernel(convolution.weight, temporal_kernel, initialization))
        self.bias = convolution.bias

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Convolve in space and time."""
        if self.time_padding == "zeros" or self.kernel_size[0] == 1:
            return super().forward(maps)
        ends, height, width = (int(side) for side in self.padding)
        # (B, C, T + 2*ends, H, W)
        maps = F.pad(maps, (0, 0, 0, 0, ends, ends), mode=self.time_padding)
        padding = (0, height, width)
        return F.conv3d(
            maps, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class InflatedBatchNormAct(nn.BatchNorm3d):
    """timm's batch norm with dropping and activation inside, for clips."""

    def __init__(self, norm: BatchNormAct2d) -> None:
        super().__init__(norm.num_features)
        self.drop, self.act = norm.drop, norm.act

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalise, drop, activate."""
        result: torch.Tensor = self.act(self.drop(super().forward(maps)))
        return result


class FrameWise(nn.Module):
    """A layer that knows images only, applied to each frame alone."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C', T, H', W')."""
        frames = self.layer(maps.transpose(1, 2).flatten(0, 1))  # (B*T, C', H', W')
        clips: torch.Tensor = frames.reshape(len(maps), maps.shape[2], *frames.shape[1:])
        return clips.transpose(1, 2)


def inflate_kernel(kernel: torch.Tensor, num_frames: int, initialization: str) -> torch.Tensor:
    """Give a filter an extent in time: (O, I, H, W) -> (O, I, T, H, W), T = `num_frames`."""
    repeated = kernel.unsqueeze(2).repeat(1, 1, num_frames, 1, 1)  # (O, I, T, H, W)
    if initialization == "repeat":
        return repeated / num_frames
    middle = torch.arange(num_frames, device=kernel.device) == num_frames // 2  # (T,)
    return repeated * middle.to(kernel.dtype)[:, None, None]


def inflate_norm(norm: nn.BatchNorm2d) -> nn.BatchNorm3d:
    """Copy a batch norm, which means the same in any number of dimensions."""
    inflated: nn.BatchNorm3d
    if isinstance(norm, loaded_timm_norms()):
        inflated = InflatedBatchNormAct(norm)
    else:
        inflated = nn.BatchNorm3d(norm.num_features)
    for name in ("eps", "momentum", "affine", "track_running_stats"):
        setattr(inflated, name, getattr(norm, name))
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        setattr(inflated, name, getattr(norm, name))  # tensors of the norm, or None
    return inflated


def inflate_max_pool(pool: nn.MaxPool2d, temporal_stride: int) -> nn.MaxPool3d:
    """Pool over `temporal_stride` frames at once; 1 leaves time alone."""
    return nn.MaxPool3d(
        kernel_size=(temporal_stride, *pair(pool.kernel_size)),
        stride=(temporal_stride, *pair(pool.stride)),
        padding=(0, *pair(pool.padding)),
        dilation=(1, *pair(pool.dilation)),
        ceil_mode=pool.ceil_mode,
    )


def inflate_average_pool(pool: nn.AvgPool2d, temporal_stride: int) -> nn.AvgPool3d:
    """Average over `temporal_stride` frames at once; 1 leaves time alone."""
    return nn.AvgPool3d(
        kernel_size=(temporal_stride, *pair(pool.kernel_size)),
        stride=(temporal_stride, *pair(pool.stride)),
        padding=(0, *pair(pool.padding)),
        ceil_mode=pool.ceil_mode,
        count_include_pad=pool.count_include_pad,
    )


def pair(value: Any) -> tuple[int, int]:
    """Spell out a side that may hold for both directions: 3 -> (3, 3)."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])
