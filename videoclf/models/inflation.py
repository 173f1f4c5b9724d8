"""Inflation: a 2D CNN becomes a 3D CNN, each of its filters given an extent in time.

When to use it: with weights trained on images, and too few videos to learn appearance from.

    repeat:  W_3D[t] = W_2D / k_t  for every t in 0..k_t-1
    centre:  W_3D[t] = W_2D  for t = (k_t - 1) / 2,  and 0 elsewhere

Biases and batch norms are copied. On a video of one repeated frame both give the 2D network's
output, for sum_t W_3D[t] = W_2D; only the frames at a clip's ends, where temporal zero padding
enters, differ, and with `time_padding=replicate` or `circular` not even those. Zero padding also
tells a network how far the clip's ends are, and so where in time it is; circular padding tells it
nothing.

Source: Carreira & Zisserman 2017, "Quo Vadis, Action Recognition? A New Model and the Kinetics
Dataset", section 2.4; centre initialisation: Girdhar et al. 2018, "Detect-and-Track".
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from timm.layers import BatchNormAct2d, BlurPool2d, EcaModule, SEModule
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone
from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.inflated_layers import (
    FrameWise,
    InflatedConv3d,
    inflate_average_pool,
    inflate_kernel,
    inflate_max_pool,
    inflate_norm,
    pair,
)
from videoclf.models.blocks.non_local import NonLocalBlock
from videoclf.value_types import Count

INITIALIZATIONS = ("repeat", "centre")
TIME_PADDINGS = ("zeros", "replicate", "circular")
#: Layers that squeeze or blur images; they see each frame alone.
FRAME_WISE = (BlurPool2d, EcaModule, SEModule)
#: Layers that are inflated; a subclass with a forward of its own is refused.
INFLATED = (
    nn.Conv2d,
    nn.BatchNorm2d,
    BatchNormAct2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
)
#: Side of the noise that an inflated network is compared on.
CHECK_PIXELS = 64
REMEDY = "choose a network of plain convolutions, batch norms and pools, such as resnet50"


class InflatedCNN(nn.Module):
    """A timm CNN, inflated, with a classifier of its own.

    Args:
        num_classes: K.
        num_frames: T of the clips, checked against the temporal strides.
        image_size: height and width of the crops; only backbones bound to one size use it.
        backbone: 2D CNN of timm; its ResNet family works as a whole.
        pretrained: inflate timm's published weights (needs them cached, or the network).
        initialization: repeat or centre.
        temporal_kernels: frames that the convolutions of a stage see, by name, see `inflate`.
        temporal_strides: by which a stage shortens time, by name, see `inflate`.
        time_padding: zeros, replicate or circular.
        non_local_after: parts of the backbone, by name, after which a non-local block stands; the
            identity at first.
        dropout: before the classifier.

    Raises:
        ValueError: a backbone that does not exist or cannot be inflated, too few frames.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        image_size: int,
        backbone: str,
        pretrained: bool,
        initialization: str,
        temporal_kernels: Mapping[str, int],
        temporal_strides: Mapping[str, Count],
        time_padding: str,
        non_local_after: Sequence[str],
        dropout: float,
    ) -> None:
        super().__init__()
        self.min_frames = math.prod(temporal_strides.values())
        check_num_frames(
            num_frames,
            min_frames=self.min_frames,
            reason=f"model.temporal_strides={dict(temporal_strides)} shrink time by "
            f"{self.min_frames}",
        )
        cnn_2d = create_backbone(backbone, pretrained=pretrained, image_size=image_size)
        self.initialization = initialization
        self.cnn = inflate(
            cnn_2d,
            temporal_kernels=temporal_kernels,
            temporal_strides=temporal_strides,
            initialization=initialization,
            time_padding=time_padding,
        )
        for name in non_local_after:
            insert_non_local(self.cnn, name)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(int(cnn_2d.num_features), num_classes)  # type: ignore[arg-type]

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Pool the last maps over space and time: (B, 3, T, H, W) -> (B, D)."""
        check_clip(rgb, min_frames=self.min_frames)
        pooled: torch.Tensor = self.cnn(rgb)  # (B, D)
        return pooled

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.dropout(self.features(rgb)))  # (B, K)
        return logits

    def load_image_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Inflate weights of the same backbone trained on images; the classifier stays.

        Raises:
            ValueError: weights that are missing or of another shape.
        """
        own = {
            name.replace(".before_non_local.", "."): (name, value)
            for name, value in self.cnn.state_dict().items()
            if ".non_local." not in name
        }
        target = {name: value for name, (_, value) in own.items()}
        inflated = inflate_weights(weights, target, initialization=self.initialization)
        renamed = {own[name][0]: value for name, value in inflated.items()}
        self.cnn.load_state_dict(renamed, strict=False)  # a non-local block stays as it is


class ThenNonLocal(nn.Module):
    """A part of a network, and a non-local block after it.

    Args:
        part: (B, C, T, H, W) -> (B, D, T', H', W').
        channels: D.
    """

    def __init__(self, part: nn.Module, channels: int) -> None:
        super().__init__()
        self.before_non_local = part
        self.non_local = NonLocalBlock(channels=channels, kind="embedded_gaussian", subsample=True)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, D, T', H', W')."""
        result: torch.Tensor = self.non_local(self.before_non_local(maps))
        return result


def insert_non_local(cnn_3d: nn.Module, name: str) -> None:
    """Put a non-local block, the identity at first, after a part of an inflated network.

    Raises:
        ValueError: there is no such part, or none that ends in a batch norm.
    """
    part = dict(cnn_3d.named_children()).get(name)
    norms = [m for m in part.modules() if isinstance(m, nn.BatchNorm3d)] if part else []
    if part is None or not norms:
        names = ", ".join(child for child, _ in cnn_3d.named_children())
        raise ValueError(
            f"model.non_local_after names {name!r}, and a block can stand after a part with batch "
            f"norms; the network's parts: {names}"
        )
    cnn_3d.add_module(name, ThenNonLocal(part, norms[-1].num_features))


def inflate(
    cnn_2d: nn.Module,
    *,
    temporal_kernels: Mapping[str, int],
    temporal_strides: Mapping[str, int],
    initialization: str = "repeat",
    time_padding: str = "zeros",
) -> nn.Module:
    """Return the 3D network of a 2D one: it takes (B, C, T, H, W) for (N, C, H, W).

    Both settings go by the beginnings of layers' names, the longest that fits winning:
    {"conv1": 5, "layer1": 3}, or for all layers {"": 3}. A kernel holds for the convolutions
    wider than 1x1, and for a 1x1 convolution that is named in full. A stride holds for the
    convolutions and pools that stride in space, so that shortcuts keep step.

    Args:
        cnn_2d: a network of plain layers; it stays as it is.
        temporal_kernels: odd numbers of frames; 1 where nothing is said.
        temporal_strides: 1 where nothing is said.
        initialization: repeat or centre.
        time_padding: zeros, replicate or circular.

    Raises:
        ValueError: a setting without layers, or a network whose inflated form does not agree
            with it on a repeated frame.
    """
    _check_choice("initialization", initialization, INITIALIZATIONS)
    _check_choice("time_padding", time_padding, TIME_PADDINGS)
    for name, kernel in temporal_kernels.items():
        if kernel % 2 == 0:
            raise ValueError(f"temporal_kernels say {name!r}: {kernel}; use an odd number")
    kernels, strides = _by_layer(cnn_2d, temporal_kernels, temporal_strides)

    def convert(layer: nn.Module, name: str) -> nn.Module:
        if isinstance(layer, FRAME_WISE):
            return FrameWise(layer)
        if isinstance(layer, INFLATED) and type(layer) not in INFLATED:
            raise ValueError(f"{name} is a {type(layer).__name__}, not inflated; {REMEDY}")
        if isinstance(layer, nn.Conv2d):
            if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
                raise ValueError(f"{name} pads by {layer.padding}, {layer.padding_mode}; {REMEDY}")
            return InflatedConv3d(
                layer,
                temporal_kernel=kernels[name],
                temporal_stride=strides[name],
                initialization=initialization,
                time_padding=time_padding,
            )
        if isinstance(layer, nn.BatchNorm2d):
            return inflate_norm(layer)
        if isinstance(layer, nn.MaxPool2d):
            return inflate_max_pool(layer, strides[name])
        if isinstance(layer, nn.AvgPool2d):
            return inflate_average_pool(layer, strides[name])
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            if pair(layer.output_size) != (1, 1):
                raise ValueError(f"{name} pools to {layer.output_size} instead of 1; {REMEDY}")
            return nn.AdaptiveAvgPool3d(1)
        for child_name, child in layer.named_children():
            inflated = convert(child, f"{name}.{child_name}".lstrip("."))
            inflated.training = child.training
            layer.add_module(child_name, inflated)
        return layer

    cnn_3d = convert(copy.deepcopy(cnn_2d), "")
    _check_repeated_frame(cnn_2d, cnn_3d, num_frames=math.prod(temporal_strides.values()))
    return cnn_3d


def inflate_weights(
    weights: Mapping[str, torch.Tensor],
    target: Mapping[str, torch.Tensor],
    *,
    initialization: str,
) -> dict[str, torch.Tensor]:
    """Bring a 2D network's weights to the shapes of `target`, a 3D network's of the same names.

    Raises:
        ValueError: a name that `weights` lack, or a shape that inflation does not explain.
    """
    _check_choice("inflation", initialization, INITIALIZATIONS)
    missing = [name for name in target if name not in weights]
    if missing:
        raise ValueError(
            f"the image weights lack {len(missing)} of {len(target)} names, such as {missing[0]}; "
            "take those of the same architecture"
        )
    inflated = {}
    for name, wanted in target.items():
        value = weights[name]
        if wanted.ndim == 5 and value.ndim == 4:
            value = inflate_kernel(value, wanted.shape[2], initialization)
        if value.shape != wanted.shape:
            raise ValueError(
                f"the image weight {name} {tuple(weights[name].shape)} does not inflate to "
                f"{tuple(wanted.shape)}; take weights of the same architecture"
            )
        inflated[name] = value
    return inflated


def _by_layer(
    cnn: nn.Module, kernels: Mapping[str, int], strides: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Spell the settings by name out for every layer; refuse one that no layer heeds."""
    layer_kernels: dict[str, int] = {}
    layer_strides: dict[str, int] = {}
    heeded: set[tuple[str, str]] = set()
    for name, layer in cnn.named_modules():
        parts = name.split(".") if name else []
        beginnings = [".".join(parts[:length]) for length in range(len(parts), -1, -1)]
        if isinstance(layer, nn.Conv2d):
            wide = max(layer.kernel_size) > 1
            key = next((b for b in beginnings if b in kernels and (wide or b == name)), None)
            layer_kernels[name] = 1 if key is None else kernels[key]
            heeded.add(("temporal_kernels", str(key)))
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            strided = max(pair(layer.stride)) > 1
            key = next((b for b in beginnings if b in strides and strided), None)
            layer_strides[name] = 1 if key is None else strides[key]
            heeded.add(("temporal_strides", str(key)))
    for setting, given in (("temporal_kernels", kernels), ("temporal_strides", strides)):
        for key, value in given.items():
            if value > 1 and (setting, key) not in heeded:
                children = ", ".join(name for name, _ in cnn.named_children())
                raise ValueError(
                    f"{setting} say {key!r}: {value}, which no layer heeds (kernels are for "
                    "convolutions wider than 1x1, strides for layers that stride in space); "
                    f"the network's parts: {children}"
                )
    return layer_kernels, layer_strides


def _check_repeated_frame(cnn_2d: nn.Module, cnn_3d: nn.Module, *, num_frames: int) -> None:
    """Compare both networks on one frame of noise, repeated; meta tensors hold nothing to compare.

    What a forward pass does beside calling layers cannot be converted, only found out.
    """
    first = next((layer for layer in cnn_2d.modules() if isinstance(layer, nn.Conv2d)), None)
    if first is None or first.weight.is_meta:
        return
    cnn_2d, cnn_3d = copy.deepcopy(cnn_2d).eval(), copy.deepcopy(cnn_3d).eval()
    for layer in cnn_3d.modules():
        if isinstance(layer, InflatedConv3d):
            layer.time_padding = "replicate"
    shape = (1, first.in_channels, CHECK_PIXELS, CHECK_PIXELS)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(first.weight)
    with torch.no_grad():
        expected = cnn_2d(noise)  # (1, D) or (1, C, H, W)
        try:
            found = cnn_3d(noise.unsqueeze(2).repeat(1, 1, num_frames, 1, 1))
        except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
            raise ValueError(
                f"a {type(cnn_2d).__name__} holds steps for images only ({error}); {REMEDY}"
            ) from error
    if found.ndim > expected.ndim:
        expected = expected.unsqueeze(2)  # (1, C, 1, H, W), for every frame the same
    tolerance = 1e-3 * (1 + float(expected.abs().max()))
    if found.shape[:2] != expected.shape[:2] or (found - expected).abs().max() > tolerance:
        raise ValueError(
            f"a {type(cnn_2d).__name__} inflated differs from it on a repeated frame, for it "
            f"holds steps that mean something else for clips; {REMEDY}"
        )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} must be one of {', '.join(choices)}")
