"""SlowFast: two pathways, one for what is seen (few frames), one for how it moves (many frames).

When to use it: as a strong 3D network trained from scratch, where appearance changes slowly and
motion fast.

    fast pathway:  all T frames, beta times the slow one's channels (beta = 1/8)
    slow pathway:  every alpha-th frame, T / alpha of them
    before each slow stage:  slow <- [slow ; ReLU BN (W * fast)],  W of k x 1 x 1 with stride alpha
                             in time, to twice the fast channels
    logits = W dropout([mean slow ; mean fast]) + b

Neither pathway strides in time. The slow one convolves over time only in res4 and res5, the fast
one everywhere, each in the first convolution of its bottlenecks. Slow frame i is frame i * alpha,
where the lateral convolution's i-th window is centred.

SlowFast 4x16 takes 32 frames with alpha 8 and k 5; 8x8 takes 32 frames with alpha 4 and k 7. 16x8
takes 64 frames with alpha 4 and k 5, and 6 of the 23 blocks of its res4 look over time.

Source: Feichtenhofer, Fan, Malik, He 2019, "SlowFast Networks for Video Recognition", table 1 and
section 3.3 (time-strided convolution); k as in the authors' published models.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.initialization import initialize_for_relu
from videoclf.models.blocks.window_pool import WindowPool
from videoclf.models.resnet_3d import STAGES, Stage, Stem, blocks_by_stage
from videoclf.value_types import Count


class SlowFast(nn.Module):
    """Two bottleneck 3D ResNets with lateral connections from the fast to the slow one.

    Args:
        num_classes: K.
        num_frames: T of the clips, all of which the fast pathway sees; at least `alpha`.
        alpha: the slow pathway sees every alpha-th frame.
        beta: the fast pathway's share of the slow one's channels.
        width: channels of the slow conv1; res2 to res5 give 4, 8, 16 and 32 times as many.
        depths: blocks of res2 to res5.
        slow_kernels: frames that the slow conv1 and res2 to res5 see; of a stage also a list, which
            is repeated over its blocks.
        fast_kernels: the same of the fast pathway.
        lateral_kernel: fast frames that a lateral connection sees, an odd number.
        lateral_ratio: its output channels, in multiples of the fast pathway's.
        non_local_places: in the slow pathway, pairs of stage and block: [[res4, 1], [res4, 3]].
        non_local_kind: gaussian, embedded_gaussian, dot_product or concatenation.
        non_local_subsample: pool the attended positions by 2 in space.
        zero_init_last_norm: each block starts as its shortcut.
        dropout: before the classifier.
        window_pixels: crop whose map is one window of the last mean, as the weights of some zoos
            want it; null for the whole map. See `blocks.window_pool`.
        window_average: logits or probabilities of the windows are averaged, in evaluation.
        checkpoint_activations: recompute each block in the backward pass to save memory.

    Raises:
        ValueError: lists of wrong length, a width that `beta` does not divide, too few frames.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        alpha: int,
        beta: float,
        width: Count,
        depths: Sequence[Count],
        slow_kernels: Sequence[int | Sequence[int]],
        fast_kernels: Sequence[int | Sequence[int]],
        lateral_kernel: int,
        lateral_ratio: int,
        non_local_places: Sequence[Sequence[str | int]],
        non_local_kind: str,
        non_local_subsample: bool,
        zero_init_last_norm: bool,
        dropout: float,
        window_pixels: int | None,
        window_average: str,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        fast_width = check_settings(beta, width, depths, slow_kernels, fast_kernels, lateral_kernel)
        check_num_frames(num_frames, min_frames=alpha, reason=f"model.alpha={alpha}")
        self.alpha = alpha
        places = blocks_by_stage(non_local_places, depths)
        # channels that leave conv1, res2, ..., res5
        slow = [width, *(4 * width * 2**index for index in range(4))]
        fast = [fast_width, *(4 * fast_width * 2**index for index in range(4))]

        def stage(
            index: int, kernel: int | Sequence[int], channels: list[int], *, lateral: int
        ) -> Stage:
            return Stage(
                inputs=channels[index] + lateral,
                inner=channels[0] * 2**index,
                outputs=channels[index + 1],
                depth=depths[index],
                temporal_kernels=[kernel] if isinstance(kernel, int) else kernel,
                spatial_stride=1 if index == 0 else 2,
                non_local_blocks=places[STAGES[index]] if lateral else (),
                non_local_kind=non_local_kind,
                non_local_subsample=non_local_subsample,
                zero_init_last_norm=zero_init_last_norm,
                checkpoint_activations=checkpoint_activations,
            )

        self.slow_stem = Stem(outputs=width, temporal_kernel=of_conv1(slow_kernels))
        self.fast_stem = Stem(outputs=fast_width, temporal_kernel=of_conv1(fast_kernels))
        self.laterals = nn.ModuleList(
            Lateral(channels, lateral_ratio * channels, kernel=lateral_kernel, alpha=alpha)
            for channels in fast[:4]
        )
        self.slow_stages = nn.ModuleList(
            stage(index, slow_kernels[index + 1], slow, lateral=lateral_ratio * fast[index])
            for index in range(4)
        )
        self.fast_stages = nn.ModuleList(
            stage(index, fast_kernels[index + 1], fast, lateral=0) for index in range(4)
        )
        self.windows = WindowPool(window_pixels=window_pixels, window_average=window_average)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(slow[4] + fast[4], num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Pool both pathways: (B, 3, T, H, W) -> (B, 32 * width * (1 + beta)), slow first."""
        return self._windows(rgb).mean(1)

    def _windows(self, rgb: torch.Tensor) -> torch.Tensor:
        """(B, 3, T, H, W) -> what both pathways see in each window (B, S, D)."""
        check_clip(rgb, min_frames=self.alpha)
        slow = self.slow_stem(rgb[:, :, :: self.alpha])  # (B, C, T/alpha, H/4, W/4)
        fast = self.fast_stem(rgb)  # (B, beta*C, T, H/4, W/4)
        for lateral, slow_stage, fast_stage in zip(
            self.laterals, self.slow_stages, self.fast_stages, strict=True
        ):
            joined = torch.cat([slow, lateral(fast)], dim=1)  # (B, C + 2*beta*C, T/alpha, H, W)
            slow = slow_stage(joined)  # (B, C', T/alpha, H', W')
            fast = fast_stage(fast)  # (B, beta*C', T, H', W')
        return torch.cat([self.windows(slow), self.windows(fast)], dim=2)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K), or (B, S, K) where windows speak."""
        read = self.windows.join(self._windows(rgb))  # (B, D), or (B, S, D) where windows speak
        logits: torch.Tensor = self.classifier(self.dropout(read))
        return logits


class Lateral(nn.Module):
    """Fast maps at the slow pathway's frames: a time-strided convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, alpha: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            inputs,
            outputs,
            kernel_size=(kernel, 1, 1),
            stride=(alpha, 1, 1),
            padding=(kernel // 2, 0, 0),
            bias=False,
        )
        self.norm = nn.BatchNorm3d(outputs)
        initialize_for_relu(self, "fan_out")

    def forward(self, fast: torch.Tensor) -> torch.Tensor:
        """(B, C, T, H, W) -> (B, C', T/alpha, H, W)."""
        maps: torch.Tensor = self.norm(self.conv(fast)).relu()
        return maps


def of_conv1(kernels: Sequence[int | Sequence[int]]) -> int:
    """Return the frames that conv1 sees, the first of a pathway's kernels.

    Raises:
        ValueError: it is a list, and there is one conv1.
    """
    first = kernels[0]
    if not isinstance(first, int):
        raise ValueError(f"kernels {list(kernels)} begin with conv1's, one number, not a list")
    return first


def check_settings(
    beta: float,
    width: int,
    depths: Sequence[int],
    slow_kernels: Sequence[int | Sequence[int]],
    fast_kernels: Sequence[int | Sequence[int]],
    lateral_kernel: int,
) -> int:
    """Hold the settings against each other; return the fast pathway's width, beta * width.

    Raises:
        ValueError: those that do not fit.
    """
    for name, given, length in (
        ("depths", depths, 4),
        ("slow_kernels", slow_kernels, 5),
        ("fast_kernels", fast_kernels, 5),
    ):
        if len(given) != length:
            raise ValueError(f"model.{name}={list(given)} has {len(given)} entries, not {length}")
    if lateral_kernel % 2 == 0:
        raise ValueError(f"model.lateral_kernel={lateral_kernel} has no middle: use an odd one")
    fast_width = round(beta * width)
    if fast_width < 1 or abs(fast_width - beta * width) > 1e-6:
        raise ValueError(
            f"model.beta={beta} of model.width={width} is {beta * width} channels; "
            "choose them so that it is a whole number"
        )
    return fast_width
