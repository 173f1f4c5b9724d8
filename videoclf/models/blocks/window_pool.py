"""The mean over a network's last maps, or over windows of them, each as large as in training.

Trained on crops of 224 pixels and tested at 256, a network that strides over 32 pixels gives a map
of 8 x 8 places where it had 7 x 7. The heads of PyTorchVideo and PySlowFast then average each
window of 7 x 7, here 2 x 2 of them, and join what the windows say; a place in the middle counts in
more windows than one at the edge. Whoever wants their published scores has to do the same.

    windows = mean over time and each window   (B, C, T, H, W) -> (B, S, C)
    logits:         W mean_s(f(window_s)) + b                    one answer a clip
    probabilities:  mean_s softmax(W f(window_s) + b)            S answers in evaluation
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

#: How what the windows say is joined.
AVERAGES = ("logits", "probabilities")
#: Pixels of the clip from one place of the last map to the next.
STRIDE = 32


class WindowPool(nn.Module):
    """Average maps over time and space, all of it or window by window.

    Args:
        window_pixels: edge of the crop whose map is one window, the crop of the training; a map
            that is no larger is one window. None takes the whole map, of whatever size.
        window_average: `logits` averages what the class head reads, and with it the logits;
            `probabilities` lets each window speak for itself in evaluation, so that the softmax is
            averaged. In training it is always the former.

    Raises:
        ValueError: no such average, or a window without a pixel.
    """

    def __init__(self, *, window_pixels: int | None, window_average: str) -> None:
        super().__init__()
        if window_average not in AVERAGES:
            raise ValueError(
                f"model.window_average={window_average!r} is none of {', '.join(AVERAGES)}"
            )
        if window_pixels is not None and window_pixels < 1:
            raise ValueError(
                f"model.window_pixels={window_pixels} must be at least 1; null for the whole map"
            )
        self.places = None if window_pixels is None else -(-window_pixels // STRIDE)
        self.window_average = window_average

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> the mean of each window (B, S, C)."""
        if self.places is None:
            return maps.mean(dim=(2, 3, 4)).unsqueeze(1)  # (B, 1, C)
        height, width = (min(self.places, side) for side in maps.shape[3:])
        means = F.avg_pool2d(maps.mean(dim=2), (height, width), stride=1)  # (B, C, H', W')
        return means.flatten(2).transpose(1, 2)  # (B, H' W', C)

    def join(self, windows: torch.Tensor) -> torch.Tensor:
        """Return what the class head reads: (B, D), or (B, S, D) where each window speaks."""
        speak = self.window_average == "probabilities" and not self.training
        return windows if speak and windows.shape[1] > 1 else windows.mean(1)
