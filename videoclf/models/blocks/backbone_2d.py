"""Any 2D network of timm as a feature extractor of single frames.

timm's networks differ in what they return (maps, maps with the channels last, tokens) and in
whether they take any image size; the functions here even that out.
"""

from __future__ import annotations

import difflib
import math

import timm
import torch
from torch import nn

import videoclf.models.blocks.tiny_cnn  # noqa: F401 (registers it with timm)


def create_backbone(
    name: str, *, pretrained: bool, image_size: int, channels: int = 3, pooled: bool = True
) -> nn.Module:
    """Build a 2D network without its classifier.

    Args:
        name: any 2D model of timm, such as `resnet50` or `resnet50.a1_in1k`.
        pretrained: load timm's published weights (needs them cached, or the network).
        image_size: height and width of the frames; only networks bound to one size use it.
        channels: of its input.
        pooled: average over space, so that it returns (N, D) instead of maps or tokens.

    Raises:
        ValueError: timm has no such network, or it cannot be built so.
    """
    if not timm.is_model(name):
        close = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=5)
        raise ValueError(
            f"model.backbone={name!r} is no model of timm {timm.__version__}; "
            f"some that are: {', '.join(close or ('resnet18', 'resnet50'))}"
        )
    options: dict[str, object] = {} if pooled else {"global_pool": ""}
    published = timm.get_pretrained_cfg(name)
    if published is not None and published.fixed_input_size:
        options["img_size"] = image_size
    try:
        backbone: nn.Module = timm.create_model(
            name, pretrained=pretrained, num_classes=0, in_chans=channels, **options
        )
    except (AssertionError, TypeError) as error:
        raise ValueError(
            f"model.backbone={name!r} cannot be built with {options} and {channels} channels "
            f"({error}); choose another"
        ) from error
    return backbone


def frame_maps(backbone: nn.Module, frames: torch.Tensor) -> torch.Tensor:
    """Encode frames (N, C, H, W) by a backbone -> maps (N, D, H', W'), or (N, D) if it is pooled.

    Tokens of a transformer are laid out as the square they came from, class tokens left out.
    """
    features: torch.Tensor = backbone(frames)
    if features.ndim == 3:
        tokens = features[:, getattr(backbone, "num_prefix_tokens", 0) :]  # (N, L, D)
        side = math.isqrt(tokens.shape[1])
        return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)  # (N, D, H', W')
    if getattr(backbone, "output_fmt", "NCHW") == "NHWC":
        return features.permute(0, 3, 1, 2)  # (N, D, H', W')
    return features


def feature_shape(
    backbone: nn.Module, *, name: str, image_size: int, channels: int = 3
) -> tuple[int, ...]:
    """Return the shape of one frame's features, (D,) or (D, H', W'), by encoding a black one.

    Raises:
        ValueError: the network cannot take frames of this size.
    """
    training = backbone.training
    black = next(backbone.parameters()).new_zeros(1, channels, image_size, image_size)
    try:
        with torch.no_grad():
            features = frame_maps(backbone.eval(), black)
    except (AssertionError, RuntimeError) as error:
        raise ValueError(
            f"model.backbone={name!r} cannot take frames of {image_size} x {image_size} pixels "
            f"({error}); change transform.crop_pixels, or choose another"
        ) from error
    backbone.train(training)
    return tuple(features.shape[1:])
