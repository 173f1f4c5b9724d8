"""Transforms for tests: small, with every augmentation off or with all of them on."""

from videoclf.transforms.clip import ClipTransform
from videoclf.transforms.colour_jitter import ColourJitter
from videoclf.transforms.erasing import RandomErasing
from videoclf.transforms.mixing import Mixing
from videoclf.transforms.rand_augment import RandAugment

JITTER = ColourJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
NO_JITTER = ColourJitter(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)


def rand_augment(num_operations):
    return RandAugment(num_operations=num_operations, probability=0.5, magnitude=7, deviation=0.5)


def erasing(probability):
    return RandomErasing(probability=probability, area=(0.02, 0.3333), aspect=(0.3, 3.3333))


def mixing(probability):
    return Mixing(
        probability=probability, cutmix_probability=0.5, mixup_alpha=0.8, cutmix_alpha=1.0
    )


def standard(**changes):
    """Random resized crops of 24 pixels and flips."""
    settings = {
        "resize_pixels": 32,
        "crop_pixels": 24,
        "short_side": None,
        "scale": (0.4, 1.0),
        "aspect": (0.75, 1.3333),
        "flip_probability": 0.5,
        "directional": False,
        "colour_jitter": NO_JITTER,
        "rand_augment": rand_augment(0),
        "erasing": erasing(0.0),
        "mixing": mixing(0.0),
        "mean": (0.5, 0.25, 0.0),
        "std": (0.5, 0.25, 1.0),
        "subtract_mean_flow": False,
    }
    return ClipTransform(**{**settings, **changes})


def strong(**changes):
    """All augmentations at once."""
    settings = {
        "colour_jitter": JITTER,
        "rand_augment": rand_augment(4),
        "erasing": erasing(0.5),
        "mixing": mixing(1.0),
    }
    return standard(**{**settings, **changes})
