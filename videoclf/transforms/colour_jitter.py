"""Colour jitter: brightness, contrast, saturation and hue, one draw for all frames of a clip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

CHANGES: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "brightness": F.adjust_brightness,
    "contrast": F.adjust_contrast,
    "saturation": F.adjust_saturation,
    "hue": F.adjust_hue,
}


class ColourJitter:
    """Change the colours of a clip by random factors, in random order.

    A contrast is a distance from the mean grey, which is taken over the whole clip: a mean of each
    frame would make colours flicker. Otherwise as torchvision's ColorJitter.
    Source: Krizhevsky et al. 2012, section 4.1; Howard 2013.

    Args:
        brightness: factors lie in [1 - brightness, 1 + brightness], and at least at 0.
        contrast: likewise.
        saturation: likewise.
        hue: shifts lie in [-hue, hue], in turns of the colour circle; at most 0.5.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self, *, brightness: float, contrast: float, saturation: float, hue: float
    ) -> None:
        spreads = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
        for name, spread in spreads.items():
            if spread < 0:
                raise ValueError(
                    f"transform.colour_jitter.{name}={spread} must be at least 0; 0 switches it off"
                )
        if not 0 <= hue <= 0.5:
            raise ValueError(f"transform.colour_jitter.hue={hue} must be in [0, 0.5]")
        self.spreads = {**spreads, "hue": hue}

    @property
    def active(self) -> bool:
        """Whether it changes anything."""
        return any(self.spreads.values())

    def draw(self, generator: np.random.Generator) -> list[tuple[str, float]]:
        """Draw what is changed, in order, and by which factor (hue: by which shift)."""
        factors = {
            name: generator.uniform(-spread, spread)
            if name == "hue"
            else generator.uniform(max(0.0, 1 - spread), 1 + spread)
            for name, spread in self.spreads.items()
        }
        names = [str(name) for name in generator.permutation(list(factors))]
        return [(name, factors[name]) for name in names if self.spreads[name]]

    def apply(self, clip: torch.Tensor, changes: list[tuple[str, float]]) -> torch.Tensor:
        """Change the colours of a clip, uint8 (C, T, H, W)."""
        tall = clip.flatten(1, 2)  # (C, T * H, W): all frames as one picture
        for name, factor in changes:
            tall = CHANGES[name](tall, factor)
        changed: torch.Tensor = tall.unflatten(1, clip.shape[1:3])  # (C, T, H, W)
        return changed
