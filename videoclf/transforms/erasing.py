"""Random erasing: one box of noise that stands still over all frames of a clip."""

from __future__ import annotations

import numpy as np
import torch

from videoclf.transforms.crops import Box, random_area_box


class RandomErasing:
    """Fill a random box with random pixels; box and pixels are the same in every frame.

    Source: Zhong et al. 2020, "Random Erasing Data Augmentation": uniform noise, "RE-R".

    Args:
        probability: that a clip gets a box; 0 switches it off.
        area: smallest and largest share of the picture that the box covers.
        aspect: smallest and largest width / height of the box.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self, *, probability: float, area: tuple[float, float], aspect: tuple[float, float]
    ) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"transform.erasing.probability={probability} must be in [0, 1]")
        if not 0 < area[0] <= area[1] < 1:
            raise ValueError(f"transform.erasing.area={list(area)} must be ascending within (0, 1)")
        if not 0 < aspect[0] <= aspect[1]:
            raise ValueError(
                f"transform.erasing.aspect={list(aspect)} must be ascending and above 0"
            )
        self.probability = probability
        self.area = area
        self.aspect = aspect

    @property
    def active(self) -> bool:
        """Whether it changes anything."""
        return self.probability > 0

    def draw(
        self, height: int, width: int, generator: np.random.Generator
    ) -> tuple[Box, np.ndarray] | None:
        """Draw box and noise, uint8 (box height, box width, 3); None where nothing is erased."""
        if generator.random() >= self.probability:
            return None
        box = random_area_box(height, width, generator, area=self.area, aspect=self.aspect)
        if box is None:
            return None
        return box, generator.integers(0, 256, (box.height, box.width, 3), np.uint8)

    def apply(self, clip: torch.Tensor, box: Box, noise: np.ndarray) -> None:
        """Erase a box of a clip, uint8 (C, T, H, W), in place."""
        rows = slice(box.top, box.top + box.height)
        columns = slice(box.left, box.left + box.width)
        pixels = torch.from_numpy(noise).permute(2, 0, 1).to(clip.device)  # (C, h, w)
        clip[:, :, rows, columns] = pixels[:, None]
