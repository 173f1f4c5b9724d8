"""3D ResNet: a residual bottleneck network whose stages choose how far they look in time.

When to use it: as the strong plain baseline among 3D networks, above all from image weights
(`image_weights`), which its bottlenecks inflate one to one.

One class, three published networks, told apart by their temporal kernels alone:

    C2D-R50   every kernel 1, one temporal max-pool after res2: time only by pooling
    I3D-R50   conv1 5; res2 3,3,3; res3 and res4 alternate 3,1; res5 1,3,1; the same pool
    Slow-R50  conv1, res2, res3 1; res4 and res5 3; no pool: the slow pathway of SlowFast

    block(x) = ReLU(BN W_3 ReLU BN W_2 ReLU BN W_1 x + shortcut(x)),
    W_1 of k_t x 1 x 1, W_2 of 1 x 3 x 3, W_3 of 1 x 1 x 1;   logits = W mean_{t,h,w}(res5) + b

Non-local blocks may stand behind any block of res2 to res5 (`non_local_places`).

Sources: Carreira & Zisserman 2017 (inflation); Wang et al. 2018, "Non-local Neural Networks",
table 1 (C2D, I3D); Feichtenhofer et al. 2019, "SlowFast Networks", table 1 (slow pathway).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from videoclf.models.blocks.backbone_2d import create_backbone
from videoclf.models.blocks.clip_shape import check_clip, check_num_frames
from videoclf.models.blocks.initialization import initialize_for_relu
from videoclf.models.blocks.non_local import NonLocalBlock
from videoclf.models.blocks.recomputation import run_block
from videoclf.models.blocks.window_pool import WindowPool
from videoclf.models.inflation import inflate_weights
from videoclf.value_types import Count

STAGES = ("res2", "res3", "res4", "res5")


class ResNet3D(nn.Module):
    """A bottleneck ResNet over clips, with time in its first 1x1 convolutions.

    Args:
        num_classes: K.
        num_frames: T of the clips, checked against `temporal_pool`.
        stem_width: channels after conv1; res2 to res5 give 4, 8, 16 and 32 times as many.
        depths: blocks of res2 to res5.
        stem_temporal_kernel: frames that conv1 sees.
        temporal_kernels: of res2 to res5, each a list that is repeated over the stage's blocks.
        temporal_pool: max-pool over so many frames after res2; 1 for none.
        non_local_places: pairs of stage and block, counted from 0: [[res3, 1], [res4, 5]].
        non_local_kind: gaussian, embedded_gaussian, dot_product or concatenation.
        non_local_subsample: pool the attended positions by 2 in space.
        zero_init_last_norm: each block starts as its shortcut.
        dropout: before the classifier.
        window_pixels: crop whose map is one window of the last mean, as the weights of some zoos
            want it; null for the whole map. See `blocks.window_pool`.
        window_average: logits or probabilities of the windows are averaged, in evaluation.
        checkpoint_activations: recompute each block in the backward pass to save memory.
        image_weights: timm ResNet whose trained weights are inflated, such as
            resnet50.a1_in1k; null trains from scratch.
        inflation: repeat or centre; how `image_weights` are inflated.

    Raises:
        ValueError: lists of wrong length, a place that does not exist, too few frames.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        num_frames: int,
        stem_width: Count,
        depths: Sequence[Count],
        stem_temporal_kernel: int,
        temporal_kernels: Sequence[Sequence[int]],
        temporal_pool: int,
        non_local_places: Sequence[Sequence[str | int]],
        non_local_kind: str,
        non_local_subsample: bool,
        zero_init_last_norm: bool,
        dropout: float,
        window_pixels: int | None,
        window_average: str,
        checkpoint_activations: bool,
        image_weights: str | None,
        inflation: str,
    ) -> None:
        super().__init__()
        for name, given in (("depths", depths), ("temporal_kernels", temporal_kernels)):
            if len(given) != len(STAGES):
                raise ValueError(f"model.{name}={list(given)} needs one entry for each of {STAGES}")
        check_num_frames(
            num_frames, min_frames=temporal_pool, reason=f"model.temporal_pool={temporal_pool}"
        )
        self.temporal_pool = temporal_pool
        places = blocks_by_stage(non_local_places, depths)

        def stage(index: int) -> Stage:
            inner = stem_width * 2**index
            return Stage(
                inputs=stem_width if index == 0 else 2 * inner,
                inner=inner,
                outputs=4 * inner,
                depth=depths[index],
                temporal_kernels=temporal_kernels[index],
                spatial_stride=1 if index == 0 else 2,
                non_local_blocks=places[STAGES[index]],
                non_local_kind=non_local_kind,
                non_local_subsample=non_local_subsample,
                zero_init_last_norm=zero_init_last_norm,
                checkpoint_activations=checkpoint_activations,
            )

        self.stem = Stem(outputs=stem_width, temporal_kernel=stem_temporal_kernel)
        self.res2, self.res3, self.res4, self.res5 = (stage(index) for index in range(4))
        self.pool = nn.MaxPool3d((temporal_pool, 1, 1)) if temporal_pool > 1 else nn.Identity()
        self.windows = WindowPool(window_pixels=window_pixels, window_average=window_average)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(32 * stem_width, num_classes)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)
        if image_weights is not None:
            cnn = create_backbone(image_weights, pretrained=True, image_size=224)
            self.load_image_weights(cnn.state_dict(), inflation=inflation)

    def layers(self) -> tuple[nn.Module, ...]:
        """List the bottlenecks from input to output."""
        stages = (self.res2, self.res3, self.res4, self.res5)
        return tuple(block for stage in stages for block in stage.blocks)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Pool res5 over space and time: (B, 3, T, H, W) -> (B, 32 * stem_width)."""
        return self._windows(rgb).mean(1)  # (B, 32C)

    def tokens(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return each place of res5: (B, 3, T, H, W) -> (B, T/pool H/32 W/32, 32 * stem_width)."""
        return self._encode(rgb).flatten(2).transpose(1, 2)

    def _windows(self, rgb: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.windows(self._encode(rgb))  # (B, S, 32C)
        return pooled

    def _encode(self, rgb: torch.Tensor) -> torch.Tensor:
        check_clip(rgb, min_frames=self.temporal_pool)
        maps = self.stem(rgb)  # (B, C, T, H/4, W/4)
        maps = self.pool(self.res2(maps))  # (B, 4C, T/pool, H/4, W/4)
        maps = self.res3(maps)  # (B, 8C, T/pool, H/8, W/8)
        maps = self.res4(maps)  # (B, 16C, T/pool, H/16, W/16)
        encoded: torch.Tensor = self.res5(maps)  # (B, 32C, T/pool, H/32, W/32)
        return encoded

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K), or (B, S, K) where windows speak."""
        read = self.windows.join(self._windows(rgb))  # (B, D), or (B, S, D) where windows speak
        logits: torch.Tensor = self.classifier(self.dropout(read))
        return logits

    def load_image_weights(
        self, weights: Mapping[str, torch.Tensor], *, inflation: str = "repeat"
    ) -> None:
        """Inflate the weights of a 2D bottleneck ResNet in timm's or torchvision's layout.

        The classifier and non-local blocks keep theirs.

        Raises:
            ValueError: weights that are missing or of another shape.
        """
        renamed = {name_of_image_weight(name): value for name, value in weights.items()}
        own = {
            name: value
            for name, value in self.state_dict().items()
            if "non_local" not in name and not name.startswith("classifier.")
        }
        inflated = inflate_weights(renamed, own, initialization=inflation)
        self.load_state_dict(inflated, strict=False)


class Stem(nn.Module):
    """conv1 of k_t x 7 x 7 and a max-pool, each halving space; time keeps its length."""

    def __init__(self, *, outputs: int, temporal_kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(
            3,
            outputs,
            kernel_size=(temporal_kernel, 7, 7),
            stride=(1, 2, 2),
            padding=(temporal_kernel // 2, 3, 3),
            bias=False,
        )
        self.bn1 = nn.BatchNorm3d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        initialize_for_relu(self, "fan_out")

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """(B, 3, T, H, W) -> (B, C, T, H/4, W/4)."""
        maps: torch.Tensor = self.maxpool(self.relu(self.bn1(self.conv1(rgb))))
        return maps


class Bottleneck(nn.Module):
    """k_t x 1 x 1, 1 x 3 x 3 and 1 x 1 x 1 convolutions beside a shortcut."""

    def __init__(
        self,
        *,
        inputs: int,
        inner: int,
        outputs: int,
        temporal_kernel: int,
        spatial_stride: int,
        zero_init_last_norm: bool,
    ) -> None:
        super().__init__()
        if temporal_kernel % 2 == 0:
            raise ValueError(
                f"a temporal kernel of {temporal_kernel} has no middle: use an odd one"
            )
        stride = (1, spatial_stride, spatial_stride)
        time = temporal_kernel
        self.conv1 = nn.Conv3d(inputs, inner, (time, 1, 1), padding=(time // 2, 0, 0), bias=False)
        self.bn1 = nn.BatchNorm3d(inner)
        self.conv2 = nn.Conv3d(inner, inner, (1, 3, 3), stride, padding=(0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(inner)
        self.conv3 = nn.Conv3d(inner, outputs, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm3d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if inputs != outputs or spatial_stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm3d(outputs),
            )
        initialize_for_relu(self, "fan_out")
        if zero_init_last_norm:
            nn.init.zeros_(self.bn3.weight)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C_in, T, H, W) -> (B, C_out, T, H/stride, W/stride)."""
        change = self.relu(self.bn1(self.conv1(maps)))  # (B, inner, T, H, W)
        change = self.relu(self.bn2(self.conv2(change)))  # (B, inner, T, H/stride, W/stride)
        change = self.bn3(self.conv3(change))  # (B, C_out, T, H/stride, W/stride)
        result: torch.Tensor = self.relu(change + self.downsample(maps))
        return result


class Stage(nn.Module):
    """`depth` bottlenecks, the first of which may halve space, and non-local blocks among them."""

    def __init__(
        self,
        *,
        inputs: int,
        inner: int,
        outputs: int,
        depth: int,
        temporal_kernels: Sequence[int],
        spatial_stride: int,
        non_local_blocks: Sequence[int],
        non_local_kind: str,
        non_local_subsample: bool,
        zero_init_last_norm: bool,
        checkpoint_activations: bool,
    ) -> None:
        super().__init__()
        self.checkpoint_activations = checkpoint_activations
        self.blocks = nn.ModuleList(
            Bottleneck(
                inputs=inputs if index == 0 else outputs,
                inner=inner,
                outputs=outputs,
                temporal_kernel=temporal_kernels[index % len(temporal_kernels)],
                spatial_stride=spatial_stride if index == 0 else 1,
                zero_init_last_norm=zero_init_last_norm,
            )
            for index in range(depth)
        )
        self.non_local = nn.ModuleDict(
            {
                str(index): NonLocalBlock(
                    channels=outputs, kind=non_local_kind, subsample=non_local_subsample
                )
                for index in non_local_blocks
            }
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C_in, T, H, W) -> (B, C_out, T, H/stride, W/stride)."""
        for index, block in enumerate(self.blocks):
            maps = run_block(block, maps, checkpointed=self.checkpoint_activations)
            if str(index) in self.non_local:
                maps = self.non_local[str(index)](maps)
        return maps


def blocks_by_stage(
    places: Sequence[Sequence[str | int]], depths: Sequence[int]
) -> dict[str, list[int]]:
    """Sort `non_local_places` by stage.

    With depths 3, 4, 6, 3: [[res3, 1], [res3, 3]] -> {res2: [], res3: [1, 3], res4: [], res5: []}.

    Raises:
        ValueError: a place that does not exist, with those that do.
    """
    last = {stage: depth - 1 for stage, depth in zip(STAGES, depths, strict=True)}
    found: dict[str, list[int]] = {stage: [] for stage in STAGES}
    for place in places:
        stage, block = (*place, None, None)[:2]
        if not (isinstance(block, int) and 0 <= block <= last.get(str(stage), -1)):
            known = ", ".join(f"[{stage}, 0..{end}]" for stage, end in last.items())
            raise ValueError(f"model.non_local_places holds {list(place)}; there are {known}")
        found[str(stage)].append(block)
    return found


def name_of_image_weight(name: str) -> str:
    """Name here of a 2D ResNet's weight: layer1.0.conv1.weight -> res2.blocks.0.conv1.weight."""
    name = re.sub(r"^(conv1|bn1)\.", r"stem.\1.", name)
    return re.sub(r"^layer(\d)\.", lambda layer: f"res{int(layer[1]) + 1}.blocks.", name)
