"""What a network says of a clip of noise: the same everywhere, so that a card can hold it."""

from __future__ import annotations

import inspect

import torch
from torch import nn

from videoclf.errors import CheckpointError
from videoclf.weights.card import Card

#: Between machines; the same sums in another order differ by less.
TOLERANCE = 1e-3


def noise_logits(model: nn.Module, card: Card, *, seed: int = 0) -> list[float]:
    """Return the logits of one clip of the card's shape, N(0, 1) from a seed.

    Args:
        model: in evaluation mode; each of its modalities gets such a clip.
        card: says how many frames and pixels; 16 frames of 112 pixels where it does not.
        seed: of the clip.
    """
    generator = torch.Generator().manual_seed(seed)
    edge, num_frames = card.crop_pixels or 112, card.num_frames or 16
    channels = {
        modality: 2 if modality == "flow" else 3
        for modality in inspect.signature(model.forward).parameters
    }
    inputs = {
        modality: torch.randn(1, count, num_frames, edge, edge, generator=generator)
        for modality, count in channels.items()
    }
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(**inputs)
    mean = logits[0] if logits.ndim == 2 else logits[0].mean(0)  # (K,)
    return [float(value) for value in mean]


def check_logits(logits: list[float], card: Card) -> str:
    """Hold logits of the clip of noise against the card's; say what came of it.

    Raises:
        CheckpointError: they differ.
    """
    if not card.logits:
        return "the card has no logits to hold these against"
    off = max(abs(a - b) for a, b in zip(logits, card.logits, strict=False))
    if off > TOLERANCE:
        raise CheckpointError(
            f"{card.name}: logits of the clip of noise are off by {off:.2g}; its card says "
            f"{', '.join(f'{value:.5f}' for value in card.logits)}: other weights than the card's"
        )
    return f"as the card says, within {off:.1g}"
