"""Bottleneck 3D ResNets whose 3 x 3 x 3 convolution is factored: over channels (CSN), or time.

When to use it: CSN where operations are scarce and accuracy matters, for nearly all its weights lie
in 1 x 1 x 1 convolutions; R(2+1)D as a strong plain network that looks over time in every block.

    block(x) = ReLU(BN W_3 ReLU BN F ReLU BN W_1 x + shortcut(x)),   W_1 and W_3 of 1 x 1 x 1

    interaction_reduced     F = D            one 3 x 3 x 3 filter a channel (ir-CSN)
    interaction_preserved   F = D BN P       behind a P of 1 x 1 x 1, which mixes them (ip-CSN)
    space_time              F = S ReLU BN T  3 x 1 x 1 before 1 x 3 x 3

    logits = W dropout(mean_{t,h,w} res5) + b

Space and time are strided in F, by each stage's first block. A CSN halves time in res3, res4 and
res5, R(2+1)D-50 in res4 and res5; the latter has no max-pool and halves space in res2 instead.

Sources: Tran, Wang, Torresani, Feiszli 2019, "Video Classification with Channel-Separated
Convolutional Networks", section 3; Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions
for Action Recognition"; strides and the order of T and S as in PyTorchVideo's csn_r101 and
r2plus1d_r50, BN P as in MMAction2's ipcsn.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip
from videoclf.models.blocks.initialization import initialize_for_relu
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.window_pool import WindowPool
from videoclf.value_types import Count

FACTORS = ("interaction_reduced", "interaction_preserved", "space_time")


class FactoredResNet3D(nn.Module):
    """Stem, four stages of factored bottlenecks, mean, classifier.

    Args:
        num_classes: K.
        stem_width: channels of the stem; res2 to res5 give 4, 8, 16 and 32 times as many.
        stem_temporal_kernel: frames that the stem sees, an odd number.
        stem_pool: a max-pool of 1 x 3 x 3 behind it, which halves space.
        depths: blocks of res2 to res5.
        factor: interaction_reduced, interaction_preserved or space_time.
        spatial_strides: of res2 to res5.
        temporal_strides: of res2 to res5.
        norm_epsilon: of every batch norm.
        zero_init_last_norm: each block starts as its shortcut.
        dropout: before the classifier.
        window_pixels: crop whose map is one window of the last mean, as the weights of some zoos
            want it; null for the whole map. See `blocks.window_pool`.
        window_average: logits or probabilities of the windows are averaged, in evaluation.
        checkpoint_activations: recompute each block in the backward pass to save memory.

    Raises:
        ValueError: lists of wrong length, an even kernel, or an unknown factor.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        stem_width: Count,
        stem_temporal_kernel: int,
        stem_pool: bool,
        depths: Sequence[Count],
        factor: str,
        spatial_strides: Sequence[Count],
        temporal_strides: Sequence[Count],
        norm_epsilon: float,
        zero_init_last_norm: bool,
        dropout: float,
        window_pixels: int | None,
        window_average: str,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        for name, given in (
            ("depths", depths),
            ("spatial_strides", spatial_strides),
            ("temporal_strides", temporal_strides),
        ):
            if len(given) != 4:
                raise ValueError(f"model.{name}={list(given)} has {len(given)} entries, not 4")
        if stem_temporal_kernel % 2 == 0:
            raise ValueError(f"model.stem_temporal_kernel={stem_temporal_kernel} must be odd")
        if factor not in FACTORS:
            raise ValueError(f"model.factor={factor!r} is none of {', '.join(FACTORS)}")
        self.checkpoint_activations = checkpoint_activations
        time = stem_temporal_kernel
        self.stem = nn.Sequential(
            nn.Conv3d(
                3, stem_width, (time, 7, 7), (1, 2, 2), padding=(time // 2, 3, 3), bias=False
            ),
            nn.BatchNorm3d(stem_width),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)) if stem_pool else nn.Identity(),
        )

        def stage(index: int) -> nn.Sequential:
            inner, space = stem_width * 2**index, spatial_strides[index]
            return nn.Sequential(
                *(
                    FactoredBottleneck(
                        inputs=4 * inner if block else (2 * inner if index else stem_width),
                        inner=inner,
                        factor=factor,
                        stride=(1, 1, 1) if block else (temporal_strides[index], space, space),
                    )
                    for block in range(depths[index])
                )
            )

        self.res2, self.res3, self.res4, self.res5 = (stage(index) for index in range(4))
        initialize_for_relu(self, "fan_out")
        for module in self.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.eps = norm_epsilon
            if isinstance(module, FactoredBottleneck) and zero_init_last_norm:
                nn.init.zeros_(module.last_norm.weight)
        self.windows = WindowPool(window_pixels=window_pixels, window_average=window_average)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(32 * stem_width, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def layers(self) -> tuple[nn.Module, ...]:
        """List the bottlenecks from input to output."""
        stages = (self.res2, self.res3, self.res4, self.res5)
        return tuple(block for stage in stages for block in stage)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Pool res5 over space and time: (B, 3, T, H, W) -> (B, 32 * stem_width)."""
        return self._windows(rgb).mean(1)

    def tokens(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return each place of res5: (B, 3, T, H, W) -> (B, T/8 H/32 W/32, 32 * stem_width)."""
        return self._encode(rgb).flatten(2).transpose(1, 2)

    def _windows(self, rgb: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.windows(self._encode(rgb))  # (B, S, 32C)
        return pooled

    def _encode(self, rgb: torch.Tensor) -> torch.Tensor:
        """(B, 3, T, H, W) -> res5 (B, 32C, T/8, H/32, W/32), by the strides of a CSN."""
        check_clip(rgb)
        maps: torch.Tensor = self.stem(rgb)  # (B, C, T, H/4, W/4)
        for layer in self.layers():
            maps = run_block(layer, maps, checkpointed=self.checkpoint_activations)
        return maps

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K), or (B, S, K) where windows speak."""
        read = self.windows.join(self._windows(rgb))  # (B, D), or (B, S, D) where windows speak
        logits: torch.Tensor = self.classifier(self.dropout(read))
        return logits


class FactoredBottleneck(nn.Module):
    """1 x 1 x 1, the factored 3 x 3 x 3 and 1 x 1 x 1 convolutions beside a shortcut."""

    def __init__(
        self, *, inputs: int, inner: int, factor: str, stride: tuple[int, int, int]
    ) -> None:
        super().__init__()
        outputs = 4 * inner
        self.narrow = nn.Sequential(
            nn.Conv3d(inputs, inner, kernel_size=1, bias=False),
            nn.BatchNorm3d(inner),
            nn.ReLU(inplace=True),
        )
        self.factored = nn.Sequential(*factored(inner, factor, stride))
        self.middle_norm = nn.BatchNorm3d(inner)
        self.widen = nn.Conv3d(inner, outputs, kernel_size=1, bias=False)
        self.last_norm = nn.BatchNorm3d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != (1, 1, 1):
            self.shortcut = nn.Sequential(
                nn.Conv3d(inputs, outputs, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm3d(outputs),
            )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C_in, T, H, W) -> (B, 4 * inner, T', H', W'), strided."""
        change = self.middle_norm(self.factored(self.narrow(maps))).relu()  # (B, inner, T', H', W')
        change = self.last_norm(self.widen(change))  # (B, 4 * inner, T', H', W')
        result: torch.Tensor = (change + self.shortcut(maps)).relu()
        return result


def factored(channels: int, factor: str, stride: tuple[int, int, int]) -> tuple[nn.Module, ...]:
    """Return the layers in the place of a 3 x 3 x 3 convolution of so many channels, no norm last.

    Weights of C channels: 27 C, 27 C + C^2 or 12 C^2, where the whole convolution has 27 C^2.
    """
    time, height, width = stride
    if factor == "space_time":
        return (
            nn.Conv3d(channels, channels, (3, 1, 1), (time, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
            nn.Conv3d(
                channels, channels, (1, 3, 3), (1, height, width), padding=(0, 1, 1), bias=False
            ),
        )
    depthwise = nn.Conv3d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
    if factor == "interaction_reduced":
        return (depthwise,)
    mixing = nn.Conv3d(channels, channels, kernel_size=1, bias=False)
    return mixing, nn.BatchNorm3d(channels), depthwise
