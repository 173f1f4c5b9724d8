"""What the video transformers share with the ViT of images that they are made of.

Its checks, how its weights are drawn, and its published weights (timm's) under our names: ours are
timm's but for the patch embedding, whose filters may be given frames, and for positions, of which
those of the patches follow the grid and that of the class token stands apart.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import timm
import torch
from torch import nn

from videoclf.models.blocks.positions import resize_in_space


def check_choice(key: str, value: str, options: Sequence[str]) -> None:
    """Hold a setting against what it may be.

    Raises:
        ValueError: it is none of the options.
    """
    if value not in options:
        raise ValueError(f"{key}={value!r} must be one of {', '.join(options)}")


def check_patches(image_size: int, patch_pixels: int) -> int:
    """Return N, how many patches a crop has.

    Raises:
        ValueError: it does not divide into patches.
    """
    if image_size % patch_pixels:
        raise ValueError(
            f"crops of {image_size} pixels do not divide into patches of "
            f"model.patch_pixels={patch_pixels}; set transform.crop_pixels to a multiple"
        )
    return int((image_size // patch_pixels) ** 2)


def initialize(model: nn.Module, *, learned_tokens: Sequence[str]) -> None:
    """Draw as a ViT: tokens, positions and linear layers N(0, 0.02^2), cut at 2; biases are 0.

    Args:
        model: drawn in place.
        learned_tokens: endings of the names of its learned tokens and positions.
    """
    for name, parameter in model.named_parameters():
        if name.endswith(tuple(learned_tokens)):
            nn.init.trunc_normal_(parameter, std=0.02)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)


def image_weights(name: str, *, example: str = "vit_base_patch16_224") -> dict[str, torch.Tensor]:
    """Return the weights of a transformer of timm (cached, or from the network).

    Args:
        name: timm's.
        example: one of the kind that is wanted, for the error.

    Raises:
        ValueError: timm has no such network.
    """
    if not timm.is_model(name):
        known = timm.list_models(f"{example.split('_')[0]}_*")
        close = difflib.get_close_matches(name.split(".")[0], known, n=5)
        raise ValueError(
            f"model.pretrained={name!r} is no model of timm {timm.__version__}; "
            f"some that are: {', '.join(close or (example,))}"
        )
    network: nn.Module = timm.create_model(name, pretrained=True)
    return network.state_dict()


def renamed(weights: Mapping[str, torch.Tensor], *, num_places: int) -> dict[str, torch.Tensor]:
    """Bring the weights of a ViT of timm under our names.

    Args:
        weights: timm's.
        num_places: N, patches of our crops; positions (1, 1 + M, D) of another grid are resized.

    Returns:
        timm's tensors, with `patch_embed.weight`, `patch_embed.bias`, `pos_embed` (1, N, D) and
        `cls_pos_embed` (1, 1, D).
    """
    own = {name.replace("patch_embed.proj.", "patch_embed."): w for name, w in weights.items()}
    if "pos_embed" in own:
        side = round(num_places**0.5)
        own["cls_pos_embed"] = weights["pos_embed"][:, :1]
        own["pos_embed"] = resize_in_space(weights["pos_embed"][:, 1:], (side, side))
    return own


def load_all_but(
    model: nn.Module,
    weights: Mapping[str, torch.Tensor],
    *,
    left: Sequence[str],
    kind: str = "ViT",
) -> None:
    """Load every tensor of a model, but for those whose names contain one of `left`.

    Args:
        model: changed in place.
        weights: by the model's names; others among them stay unused.
        left: parts of names.
        kind: of the network they are of, for the error.

    Raises:
        ValueError: one is missing or of another shape.
    """
    loaded = {}
    for name, value in model.state_dict().items():
        if any(part in name for part in left):
            continue
        found = weights.get(name)
        if found is None or found.shape != value.shape:
            shape = "missing" if found is None else tuple(found.shape)
            raise ValueError(
                f"the weight {name} is {shape}, not {tuple(value.shape)}; load those of a {kind} "
                "of the same width, depth and patches"
            )
        loaded[name] = found
    model.load_state_dict(loaded, strict=False)
