"""Recurrent convolutional network: an RNN whose every matrix product is a convolution.

When to use it: where motion should be followed at each place of the picture over many frames; it
keeps memory constant in time when run as a stream, but computes frame after frame.

    tanh  h_t = tanh(W_h * h_{t-1} + W_x * x_t)
    gru   z = sigmoid(W_z * x_t + U_z * h_{t-1}),   r = sigmoid(W_r * x_t + U_r * h_{t-1})
          c = tanh(W * x_t + U * (r . h_{t-1})),    h_t = (1 - z) . h_{t-1} + z . c
    lstm  i, f, o = sigmoid(W * x_t + U * h_{t-1}), c_t = f . c_{t-1} + i . tanh(W_c * x_t +
          U_c * h_{t-1}),                           h_t = o . tanh(c_t)

Layer l at step t sees layer l-1 at t and itself at t-1. `RecurrentCNN` stacks such layers on the
pixels. `GRURCN` sets one beside each of several depths of a 2D CNN; each layer's last state,
averaged over space, has a classifier of its own, and their probabilities are averaged.

Sources: Ballas, Yao, Pal, Courville 2016, "Delving Deeper into Convolutional Networks for
Learning Video Representations" (GRU-RCN); Shi et al. 2015, "Convolutional LSTM Network".
"""

from __future__ import annotations

from collections.abc import Sequence

import timm
import torch
from torch import nn
from torch.nn import functional as F

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.convolutional_recurrence import RecurrentLayer
from videoclf.value_types import Count

OUTPUTS = ("last", "every")


class RecurrentCNN(nn.Module):
    """Convolutional recurrent layers on the pixels, each reading the one below.

    Args:
        num_classes: K.
        cell: tanh, gru or lstm.
        widths: channels of each layer's state.
        strides: by which each layer's input convolution shrinks space.
        kernel_size: of all convolutions, an odd number.
        input_norm: batch norm on W * x_t, over all frames of the batch.
        outputs: `last`: logits (B, K) after the last frame; `every`: (B, T, K), one a frame.
        dropout: before the classifier.

    Raises:
        ValueError: an unknown cell or kind of output, lists whose lengths differ, an even kernel.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        cell: str,
        widths: Sequence[Count],
        strides: Sequence[Count],
        kernel_size: int,
        input_norm: bool,
        outputs: str,
        dropout: float,
    ) -> None:
        super().__init__()
        if len(widths) != len(strides):
            raise ValueError(
                f"model.widths={list(widths)} and model.strides={list(strides)} must have equal "
                "length"
            )
        check_outputs(outputs)
        self.outputs = outputs
        self.layers = nn.ModuleList()
        channels = 3
        for width, stride in zip(widths, strides, strict=True):
            layer = RecurrentLayer(
                cell=cell,
                inputs=channels,
                hidden=width,
                kernel_size=kernel_size,
                stride=stride,
                input_norm=input_norm,
            )
            self.layers.append(layer)
            channels = width
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def steps(self, rgb: torch.Tensor) -> torch.Tensor:
        """Average the top layer's states over space: (B, 3, T, H, W) -> (B, T, D)."""
        check_clip(rgb)
        maps = rgb.transpose(1, 2)  # (B, T, 3, H, W)
        for layer in self.layers:
            maps, _ = layer(maps)  # (B, T, C, H', W')
        return maps.mean(dim=(3, 4))  # (B, T, D)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> (B, D): the last step, or the mean of every one."""
        steps = self.steps(rgb)  # (B, T, D)
        return steps[:, -1] if self.outputs == "last" else steps.mean(dim=1)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K), or (B, T, K) for `outputs=every`."""
        found = self.features(rgb) if self.outputs == "last" else self.steps(rgb)
        logits: torch.Tensor = self.classifier(self.dropout(found))  # (B, K) or (B, T, K)
        return logits


class GRURCN(nn.Module):
    """A convolutional recurrent layer beside each of several depths (taps) of a 2D CNN.

    `classifier` holds the taps' classifiers side by side: each reads its own columns, and they
    share the bias. The loss is on each, a prediction averages their probabilities.

    Args:
        num_classes: K.
        backbone: 2D CNN of timm with feature maps, such as `vgg16` or `resnet18`.
        pretrained: load timm's published weights (needs them cached, or the network).
        frozen: keep the CNN in evaluation mode, without gradients.
        taps: indices of the CNN's feature maps, 0 the finest.
        widths: channels of the state at each tap.
        cell: gru, tanh or lstm.
        kernel_size: of all convolutions, an odd number.
        stacked: each layer also reads the state of the layer at the tap below.
        bidirectional: a second layer at each tap reads the clip backwards.
        dropout: before the classifiers.

    Raises:
        ValueError: an unknown backbone, cell or tap, or lists whose lengths differ.
    """

    own_columns: torch.Tensor

    def __init__(
        self,
        *,
        num_classes: int,
        backbone: str,
        pretrained: bool,
        frozen: bool,
        taps: Sequence[int],
        widths: Sequence[Count],
        cell: str,
        kernel_size: int,
        stacked: bool,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        if len(taps) != len(widths):
            raise ValueError(
                f"model.taps={list(taps)} and model.widths={list(widths)} must have equal length"
            )
        self.frozen = frozen
        self.stacked = stacked
        self.cnn = tapped_cnn(backbone, pretrained=pretrained, taps=taps)
        self.cnn.requires_grad_(not frozen)
        self.layers = nn.ModuleList()
        ends: list[int] = []
        for channels, width in zip(feature_channels(self.cnn), widths, strict=True):
            layer = RecurrentLayer(
                cell=cell,
                inputs=channels + (ends[-1] if stacked and ends else 0),
                hidden=width,
                kernel_size=kernel_size,
                stride=1,
                input_norm=False,
                bidirectional=bidirectional,
            )
            self.layers.append(layer)
            ends.append(layer.outputs)
        owner = torch.arange(len(ends)).repeat_interleave(torch.tensor(ends, device="cpu"))
        own_columns = (owner == torch.arange(len(ends))[:, None]).float()  # (taps, D)
        self.register_buffer("own_columns", own_columns, persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(sum(ends), num_classes)

    def train(self, mode: bool = True) -> GRURCN:
        """Switch to training, a frozen CNN excepted."""
        super().train(mode)
        if self.frozen:
            self.cnn.eval()
        return self

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Join the last states of all taps: (B, 3, T, H, W) -> (B, D), the finest first."""
        check_clip(rgb)
        batch, num_frames = len(rgb), rgb.shape[2]
        frames = rgb.transpose(1, 2).flatten(0, 1)  # (B*T, 3, H, W)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            tapped = self.cnn(frames)  # for each tap (B*T, C, H', W')
        ends: list[torch.Tensor] = []
        states: torch.Tensor | None = None
        for maps, layer in zip(tapped, self.layers, strict=True):
            if self.stacked and states is not None:
                lower = F.adaptive_max_pool2d(states.flatten(0, 1), maps.shape[2:])
                maps = torch.cat([maps, lower], dim=1)  # (B*T, C + C_below, H', W')
            clips = maps.reshape(batch, num_frames, *maps.shape[1:])  # (B, T, C, H', W')
            states, end = layer(clips)  # (B, T, width, H', W'), (B, width, H', W')
            ends.append(end.mean(dim=(2, 3)))
        return torch.cat(ends, dim=1)  # (B, D)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits of each tap (B, taps, K)."""
        each = self.features(rgb)[:, None] * self.own_columns  # (B, taps, D)
        logits: torch.Tensor = self.classifier(self.dropout(each))  # (B, taps, K)
        return logits


def tapped_cnn(backbone: str, *, pretrained: bool, taps: Sequence[int]) -> nn.Module:
    """Build a timm CNN that returns its feature maps at `taps`, the finest first.

    Raises:
        ValueError: timm has no such network, or it has no such maps.
    """
    if not timm.is_model(backbone):
        raise ValueError(
            f"model.backbone={backbone!r} is no model of timm {timm.__version__}; "
            "some that are: resnet18, resnet50, vgg16"
        )
    try:
        cnn: nn.Module = timm.create_model(
            backbone, pretrained=pretrained, features_only=True, out_indices=tuple(taps)
        )
    except (AssertionError, IndexError, RuntimeError) as error:
        raise ValueError(
            f"model.backbone={backbone!r} has no feature maps model.taps={list(taps)} ({error}); "
            "a ResNet has [0, 1, 2, 3, 4]"
        ) from error
    return cnn


def feature_channels(cnn: nn.Module) -> list[int]:
    """Channels of the maps that `tapped_cnn` returns."""
    return [int(channels) for channels in cnn.feature_info.channels()]  # type: ignore[operator,union-attr]


def check_outputs(outputs: str) -> None:
    """Refuse an unknown kind of output.

    Raises:
        ValueError: with those that exist.
    """
    if outputs not in OUTPUTS:
        raise ValueError(f"model.outputs={outputs!r} is none of {', '.join(OUTPUTS)}")
