"""RandAugment: a few random operations of one strength, the same for all frames of a clip.

Source: Cubuk et al. 2020, "RandAugment: Practical automated data augmentation with a reduced
search space". The operations and their ranges are those of torchvision's RandAugment, and its
functions carry them out; the draws are ours, so that they follow from the sample's key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

#: Takes uint8 pictures, a strength in [-1, 1] and the colour of what lies outside a picture.
Apply = Callable[[torch.Tensor, float, Sequence[float]], torch.Tensor]


@dataclass(frozen=True)
class Operation:
    """One operation.

    Args:
        apply: changes pictures, uint8 (..., C, H, W).
        signed: both directions exist; one is drawn.
        per_frame: works within each frame. Otherwise the clip is given as one tall picture
            (C, T * H, W), so that a histogram or a mean is taken over all frames: one curve for
            the whole clip instead of one a frame, which would flicker.
        turns: turns the directions of motion in the picture.
    """

    apply: Apply
    signed: bool = False
    per_frame: bool = False
    turns: bool = False


def _affine(
    frames: torch.Tensor,
    fill: Sequence[float],
    *,
    shift: tuple[float, float] = (0.0, 0.0),
    shear: tuple[float, float] = (0.0, 0.0),
) -> torch.Tensor:
    """Move by `shift` pixels (truncated), or shear by the tangents `shear` about the top left."""
    sheared = any(shear)
    moved: torch.Tensor = F.affine(
        frames,
        angle=0.0,
        translate=[int(pixels) for pixels in shift],
        scale=1.0,
        shear=[math.degrees(math.atan(tangent)) for tangent in shear],
        interpolation=InterpolationMode.BILINEAR if sheared else InterpolationMode.NEAREST,
        fill=list(fill),
        center=[0, 0] if sheared else None,
    )
    return moved


#: The operations of the paper. At full strength they shear by 0.3, move by 150 / 331 of the side,
#: rotate by 30 degrees, take factors of 0.1 or 1.9, keep 4 bits of 8, and invert everything.
OPERATIONS: dict[str, Operation] = {
    "identity": Operation(lambda clip, _, __: clip),
    "shear_x": Operation(
        lambda frames, strength, fill: _affine(frames, fill, shear=(0.3 * strength, 0.0)),
        signed=True,
        per_frame=True,
        turns=True,
    ),
    "shear_y": Operation(
        lambda frames, strength, fill: _affine(frames, fill, shear=(0.0, 0.3 * strength)),
        signed=True,
        per_frame=True,
        turns=True,
    ),
    "translate_x": Operation(
        lambda frames, strength, fill: _affine(
            frames, fill, shift=(150 / 331 * frames.shape[-1] * strength, 0.0)
        ),
        signed=True,
        per_frame=True,
    ),
    "translate_y": Operation(
        lambda frames, strength, fill: _affine(
            frames, fill, shift=(0.0, 150 / 331 * frames.shape[-2] * strength)
        ),
        signed=True,
        per_frame=True,
    ),
    "rotate": Operation(
        lambda frames, strength, fill: F.rotate(
            frames, 30 * strength, interpolation=InterpolationMode.BILINEAR, fill=list(fill)
        ),
        signed=True,
        per_frame=True,
        turns=True,
    ),
    "brightness": Operation(
        lambda clip, strength, _: F.adjust_brightness(clip, 1 + 0.9 * strength), signed=True
    ),
    "colour": Operation(
        lambda clip, strength, _: F.adjust_saturation(clip, 1 + 0.9 * strength), signed=True
    ),
    "contrast": Operation(
        lambda clip, strength, _: F.adjust_contrast(clip, 1 + 0.9 * strength), signed=True
    ),
    "sharpness": Operation(
        lambda frames, strength, _: F.adjust_sharpness(frames, 1 + 0.9 * strength),
        signed=True,
        per_frame=True,
    ),
    "posterize": Operation(lambda clip, strength, _: F.posterize(clip, 8 - round(4 * strength))),
    "solarize": Operation(lambda clip, strength, _: F.solarize(clip, 255 * (1 - strength))),
    "auto_contrast": Operation(lambda clip, _, __: F.autocontrast(clip)),
    "equalize": Operation(lambda clip, _, __: F.equalize(clip)),
}


class RandAugment:
    """Carry out `num_operations` random operations, each with a probability.

    Args:
        num_operations: drawn for each clip, with replacement; 0 switches it off.
        probability: that an operation which was drawn is carried out; 1 in the paper.
        magnitude: from 0, nothing, to 10, the full range, as in the paper and in timm. torchvision
            counts the same range from 0 to 30.
        deviation: standard deviation of the magnitude of each operation, in the same unit; the
            result is kept within 0 and 10.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self, *, num_operations: int, probability: float, magnitude: float, deviation: float
    ) -> None:
        name = "transform.rand_augment"
        if num_operations < 0:
            raise ValueError(
                f"{name}.num_operations={num_operations} must be at least 0; 0 switches it off"
            )
        if not 0 <= probability <= 1:
            raise ValueError(f"{name}.probability={probability} must be in [0, 1]")
        if not 0 <= magnitude <= 10:
            raise ValueError(
                f"{name}.magnitude={magnitude} must be in [0, 10]; divide one of torchvision by 3"
            )
        if deviation < 0:
            raise ValueError(f"{name}.deviation={deviation} must be at least 0")
        self.num_operations = num_operations
        self.probability = probability
        self.magnitude = magnitude
        self.deviation = deviation

    @property
    def active(self) -> bool:
        """Whether it changes anything."""
        return self.num_operations > 0 and self.probability > 0

    def draw(self, generator: np.random.Generator, *, directional: bool) -> list[tuple[str, float]]:
        """Draw the operations of a clip, in order, with their strengths in [-1, 1].

        Args:
            generator: of all draws.
            directional: leave out the operations that turn directions. One rotation by 20 degrees
                keeps an upward motion upward, but several in a row make it sideward.
        """
        names = [n for n, o in OPERATIONS.items() if not (directional and o.turns)]
        drawn = []
        for _ in range(self.num_operations):
            name = names[int(generator.integers(len(names)))]
            happens = generator.random() < self.probability
            magnitude = generator.normal(self.magnitude, self.deviation)
            sign = -1 if generator.random() < 0.5 and OPERATIONS[name].signed else 1
            if happens:
                drawn.append((name, sign * min(10.0, max(0.0, magnitude)) / 10))
        return drawn

    def apply(
        self, clip: torch.Tensor, operations: list[tuple[str, float]], fill: Sequence[float]
    ) -> torch.Tensor:
        """Carry out operations.

        Args:
            clip: uint8 (C, T, H, W).
            operations: as drawn.
            fill: colour of what lies outside a picture, in [0, 255].

        Returns:
            uint8 (C, T, H, W).
        """
        for name, strength in operations:
            operation = OPERATIONS[name]
            if operation.per_frame:
                frames = clip.transpose(0, 1)  # (T, C, H, W)
                clip = operation.apply(frames, strength, fill).transpose(0, 1)
            else:
                tall = clip.flatten(1, 2)  # (C, T * H, W)
                clip = operation.apply(tall, strength, fill).unflatten(1, clip.shape[1:3])
        return clip
