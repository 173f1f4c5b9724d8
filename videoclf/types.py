"""The values that travel: records, samples, batches. Frozen and validated.

`torch` is imported for type checking only: the composing process reads manifests without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

SUBSETS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a manifest.

    `path` is relative to the data root, with forward slashes. `labels` are class ids, one or
    several. `start` and `end` are seconds, half open; None where the whole file is meant.
    `group` ties clips of one scene or person together. `sha256` is the hash of the file's content,
    hexadecimal, where the annotations give it.
    """

    path: str
    labels: tuple[int, ...]
    subset: str
    start: float | None = None
    end: float | None = None
    group: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.subset not in SUBSETS:
            raise ValueError(f"subset {self.subset!r} of {self.path} is none of {SUBSETS}")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError(f"{self.path}: end {self.end} s is not after start {self.start} s")


@dataclass(frozen=True, slots=True)
class ClipShape:
    """Frames of a clip, and the edge of its crop in pixels."""

    num_frames: int
    crop_pixels: int


#: What a batch sampler asks a dataset for: epoch, row of the manifest, and where training goes from
#: coarse clips to fine ones also their shape.
SampleKey = tuple[int, int] | tuple[int, int, ClipShape]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that could not be read: its row in the manifest, its path and the reason."""

    index: int
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What the dataset gives for one record: clips by modality, labels, and where they came from.

    Each array of `clips` is uint8 (V, T, H, W, C): V views of T frames; training has V clips of
    one video, evaluation V = clips x crops. `epoch` and `index` seed the device's augmentation.
    In evaluation `seconds` is the length of the record and `motion` the mean absolute difference
    of successive frames of its middle clip, in [0, 1]; NaN where unknown.

    Where clips share frames, the arrays are uint8 (crops, N, H, W, C), each distinct frame once,
    and `frame_rows`, int64 (clips, T), says which of the N frames each clip takes.
    """

    clips: Mapping[str, np.ndarray]
    labels: tuple[int, ...]
    epoch: int
    index: int
    seconds: float = math.nan
    motion: float = math.nan
    frame_rows: np.ndarray | None = None

    def __post_init__(self) -> None:
        for modality, clip in self.clips.items():
            if clip.ndim != 5 or clip.dtype != "uint8":
                raise ValueError(
                    f"{modality} of sample {self.index} must be uint8 (V, T, H, W, C), "
                    f"not {clip.dtype} {clip.shape}"
                )


@dataclass(frozen=True)
class Mix:
    """Which clips of a batch were mixed (mixup, CutMix).

    Clip n keeps `own_share[n]` of itself, float32 (N,), and takes the rest from clip
    `partner[n]`, int64 (N,); its target is mixed likewise. N = B * V.
    """

    partner: torch.Tensor
    own_share: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """Samples stacked: inputs by modality, uint8 (B, V, T, H, W, C) from the loader.

    After the device transform the inputs are float (B * V, C, T, H, W). `labels` is int64 (B, L),
    padded with -1; `epochs`, `indices` (rows of the manifest) and `num_views` describe its rows.
    Unreadable records are listed, not replaced: B counts the readable ones, and may be 0. `mix`
    says which clips the device transform has mixed; None is none. `seconds` and `motion`, float32
    (B,), are those of the samples; None where nobody asked.

    Where clips share frames, the inputs are uint8 (1, 1, F, H, W, C), then float (1, C, F, H, W):
    each distinct frame of each crop of each video once. View v of video b consists of the frames
    `frame_rows[b, v]`, int64 (B, V, T).
    """

    inputs: Mapping[str, torch.Tensor]
    labels: torch.Tensor
    epochs: torch.Tensor
    indices: torch.Tensor
    num_views: int
    unreadable: tuple[Unreadable, ...] = ()
    mix: Mix | None = None
    seconds: torch.Tensor | None = None
    motion: torch.Tensor | None = None
    frame_rows: torch.Tensor | None = None

    def __len__(self) -> int:
        return int(self.indices.shape[0])

    def __repr__(self) -> str:
        shapes = ", ".join(f"{k} {v.dtype} {tuple(v.shape)}" for k, v in self.inputs.items())
        labels = tuple(self.labels.shape)
        return f"Batch({shapes}, labels {labels}, {len(self.unreadable)} unreadable)"

    def with_inputs(self, inputs: Mapping[str, torch.Tensor], mix: Mix | None = None) -> Batch:
        """Return the batch with other inputs, and how they were mixed."""
        return replace(self, inputs=inputs, mix=mix)

    def to(self, device: Any, non_blocking: bool = True) -> Batch:
        """Move inputs and labels to a device; the keys stay on the CPU, where they are read."""
        rows = self.frame_rows
        return replace(
            self,
            inputs={k: v.to(device, non_blocking=non_blocking) for k, v in self.inputs.items()},
            labels=self.labels.to(device, non_blocking=non_blocking),
            frame_rows=None if rows is None else rows.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> Batch:
        """Pin inputs and labels, so that the copy to a GPU overlaps with work."""
        return replace(
            self,
            inputs={k: v.pin_memory() for k, v in self.inputs.items()},
            labels=self.labels.pin_memory(),
        )
