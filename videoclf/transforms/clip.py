"""Crop, resize, flip and normalise clips: uint8 in the loader worker, float on the device.

In the worker a crop is a view, and only the crop is resized, in uint8 with antialiasing. The
batch travels as uint8 (B, V, T, H, W, C). On the device one permute makes it (B, C, T, H, W),
which is channels_last_3d without a copy; then flips and normalisation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from videoclf.types import Batch


class Box(NamedTuple):
    """A spatial window in pixels: rows [top, top + height), columns [left, left + width)."""

    top: int
    left: int
    height: int
    width: int


class ClipTransform:
    """Random resized crop and flip in training, fixed crops in evaluation, one normalisation.

    Args:
        resize_pixels: short side that a video is decoded at, before any crop.
        crop_pixels: edge of the square that the model sees.
        scale: smallest and largest share of the frame's area that a random crop covers.
        aspect: narrowest and widest width / height of a random crop, before it is made square.
        flip_probability: of a horizontal flip.
        directional: the classes name directions: clips are not flipped, whatever the probability.
        mean: of each channel, in [0, 1].
        std: of each channel, in [0, 1].

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self,
        *,
        resize_pixels: int,
        crop_pixels: int,
        scale: tuple[float, float],
        aspect: tuple[float, float],
        flip_probability: float,
        directional: bool,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        if not 0 < crop_pixels <= resize_pixels:
            raise ValueError(
                f"transform.crop_pixels={crop_pixels} must be above 0 and at most "
                f"transform.resize_pixels={resize_pixels}"
            )
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"transform.scale={list(scale)} must be ascending within (0, 1]")
        if not 0 < aspect[0] <= aspect[1]:
            raise ValueError(f"transform.aspect={list(aspect)} must be ascending and above 0")
        if not 0 <= flip_probability <= 1:
            raise ValueError(f"transform.flip_probability={flip_probability} must be in [0, 1]")
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(f"transform.mean={list(mean)} and std={list(std)} do not fit")
        self.resize_pixels = resize_pixels
        self.crop_pixels = crop_pixels
        self.scale = scale
        self.aspect = aspect
        self.flip_probability = 0.0 if directional else flip_probability
        self.mean = mean
        self.std = std

    def train_box(self, height: int, width: int, generator: np.random.Generator) -> Box:
        """Draw a crop of random area and aspect; after ten misses take the largest that fits.

        Source: Szegedy et al. 2015, section 6 (as in torchvision's RandomResizedCrop).
        """
        for _ in range(10):
            area = height * width * generator.uniform(*self.scale)
            aspect = math.exp(generator.uniform(*np.log(self.aspect)))
            box_width = round(math.sqrt(area * aspect))
            box_height = round(math.sqrt(area / aspect))
            if 0 < box_width <= width and 0 < box_height <= height:
                top = int(generator.integers(0, height - box_height + 1))
                left = int(generator.integers(0, width - box_width + 1))
                return Box(top, left, box_height, box_width)
        edge = min(height, width)
        return Box((height - edge) // 2, (width - edge) // 2, edge, edge)

    def view_boxes(self, height: int, width: int, num_crops: int) -> list[Box]:
        """Place the crops of the test protocol.

        One in the centre, three along the longer side, or five: the corners and the centre.

        Raises:
            ValueError: a frame smaller than the crop, or another number of crops.
        """
        edge = self.crop_pixels
        if min(height, width) < edge:
            raise ValueError(f"a frame of {width}x{height} has no crop of {edge} pixels")
        bottom, right = height - edge, width - edge
        centre = (bottom // 2, right // 2)
        places = {
            1: [centre],
            3: [(0, 0), centre, (bottom, right)],
            5: [(0, 0), (0, right), (bottom, 0), (bottom, right), centre],
        }
        if num_crops not in places:
            raise ValueError(f"views.num_crops={num_crops} must be 1, 3 or 5")
        if num_crops == 3:
            # along the longer side, in the middle of the shorter
            places[3] = (
                [(bottom // 2, 0), centre, (bottom // 2, right)]
                if width >= height
                else [(0, right // 2), centre, (bottom, right // 2)]
            )
        return [Box(top, left, edge, edge) for top, left in places[num_crops]]

    def cut(self, clip: np.ndarray, box: Box) -> np.ndarray:
        """Crop uint8 (T, H, W, C) and resize it to uint8 (T, crop_pixels, crop_pixels, C)."""
        rows = slice(box.top, box.top + box.height)
        columns = slice(box.left, box.left + box.width)
        window = clip[:, rows, columns]
        if window.shape[1:3] == (self.crop_pixels, self.crop_pixels):
            return window
        frames = torch.from_numpy(window).permute(0, 3, 1, 2)  # (T, C, H, W), channels last
        size = (self.crop_pixels, self.crop_pixels)
        resized = F.interpolate(frames, size=size, mode="bilinear", antialias=True)
        return resized.permute(0, 2, 3, 1).numpy()

    def on_device(self, batch: Batch, *, seed: int, train: bool) -> Batch:
        """Flip and normalise a batch where it lies.

        The flip of a sample depends on (seed, epoch, index) alone, and is off in evaluation.

        Args:
            batch: inputs uint8 (B, V, T, H, W, C).
            seed: of the run.
            train: whether to augment.

        Returns:
            The batch with float32 inputs (B * V, C, T, H, W), and in training one row a clip.
        """
        inputs = {}
        for modality, clips in batch.inputs.items():
            video = clips.flatten(0, 1).permute(0, 4, 1, 2, 3)  # (B * V, C, T, H, W)
            if train and self.flip_probability > 0 and len(batch):
                flips = self._flips(batch, seed).to(video.device)
                video = torch.where(flips[:, None, None, None, None], video.flip(4), video)
            shape = (1, len(self.mean), 1, 1, 1)
            mean = torch.tensor(self.mean, device=video.device).view(shape)
            std = torch.tensor(self.std, device=video.device).view(shape)
            inputs[modality] = (video.float() / 255 - mean) / std
        return batch.with_inputs(inputs)

    def _flips(self, batch: Batch, seed: int) -> torch.Tensor:
        """Draw one bool a clip, (B * V,); every clip of a sample draws its own."""
        rows = [
            np.random.default_rng((seed, int(epoch), int(index), 1)).random(batch.num_views)
            for epoch, index in zip(batch.epochs, batch.indices, strict=True)
        ]
        return torch.from_numpy(np.concatenate(rows) < self.flip_probability)
