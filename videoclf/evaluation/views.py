"""The test protocol: which (clip, crop) pairs of a video are scored, and how they become one.

Views of a video stand clip by clip, each clip's crops together: view = clip * num_crops + crop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch

from videoclf.errors import ConfigError
from videoclf.samplers.positions import POSITIONS, Positions

AVERAGES = ("probabilities", "logits", "max", "top_k")
ACTIVATIONS = ("softmax", "sigmoid")
RESIZING = ("decoder", "bilinear", "bilinear_antialias")


@dataclass(frozen=True, kw_only=True)
class Views:
    """N clips x M crops a video; one prediction of them all.

    Args:
        num_clips: temporal clips a video, placed by the sampler.
        num_crops: 1 centre, 3 along the longer side, 5 corners and centre, 10 those five and
            their mirrors (not for data whose classes name directions).
        average: mean of `probabilities` (each view's own first) or `logits`; `max`: each class's
            highest probability among the views; `top_k`: the mean of its k highest. What max and
            top_k give of a softmax is scaled to sum to 1, which changes no order.
        top_k: k.
        activation: from logits to probabilities: `softmax`, or `sigmoid` of each class by itself.
        positions: of the clips, see `clip_fractions`; None is the sampler's own: `ends` of dense
            clips, `centres` of segments.
        short_side_pixels: that videos are decoded at for the test; None is the transform's.
        crop_pixels: edge of a test crop; None is the transform's.
        resizing: who makes the pictures smaller: `decoder`, or as torchvision does, `bilinear` or
            `bilinear_antialias`; see `videoclf.transforms.resizing`.
        size_pixels: (height, width) that they become, aspect not kept; None keeps it.
        keep: store the probabilities of every view beside their average.

    Raises:
        ValueError: a value out of range.
    """

    num_clips: int
    num_crops: int
    average: Literal["probabilities", "logits", "max", "top_k"]
    top_k: int = 3
    activation: Literal["softmax", "sigmoid"] = "softmax"
    positions: Positions | None = None
    short_side_pixels: int | None = None
    crop_pixels: int | None = None
    resizing: Literal["decoder", "bilinear", "bilinear_antialias"] = "decoder"
    size_pixels: tuple[int, int] | None = None
    keep: bool = False

    def __post_init__(self) -> None:
        if self.num_clips < 1:
            raise ValueError(f"views.num_clips={self.num_clips} must be at least 1")
        if self.num_crops not in (1, 3, 5, 10):
            raise ValueError(f"views.num_crops={self.num_crops} must be 1, 3, 5 or 10")
        if self.positions is not None and self.positions not in POSITIONS:
            raise ValueError(
                f"views.positions={self.positions!r} must be null or one of {', '.join(POSITIONS)}"
            )
        for name, value, valid in (
            ("average", self.average, AVERAGES),
            ("activation", self.activation, ACTIVATIONS),
            ("resizing", self.resizing, RESIZING),
        ):
            if value not in valid:
                raise ValueError(f"views.{name}={value!r} must be one of {', '.join(valid)}")
        if self.average == "top_k" and not 1 <= self.top_k <= self.num_views:
            raise ValueError(
                f"views.top_k={self.top_k} must be from 1 to the {self.num_views} views of a video"
            )
        if self.size_pixels is not None and (
            self.resizing == "decoder" or len(self.size_pixels) != 2 or min(self.size_pixels) < 1
        ):
            raise ValueError(
                f"views.size_pixels={self.size_pixels} must be a height and a width, and goes with "
                "views.resizing=bilinear or bilinear_antialias"
            )
        for name, pixels in (
            ("short_side_pixels", self.short_side_pixels),
            ("crop_pixels", self.crop_pixels),
        ):
            if pixels is not None and pixels < 1:
                raise ValueError(f"views.{name}={pixels} must be null or at least 1")

    @property
    def name(self) -> str:
        """The suffix of metric names, such as `10x3`, `10x3@256_without_end` or `10x3_logits`.

        It says what departs from the default; of one view, every average is the same.
        """
        size = "" if self.crop_pixels is None else f"@{self.crop_pixels}"
        parts = [f"{self.num_clips}x{self.num_crops}{size}"]
        if self.positions is not None:
            parts.append(self.positions)
        if self.average != "probabilities" and self.num_views > 1:
            parts.append(f"best{self.top_k}" if self.average == "top_k" else self.average)
        return "_".join(parts)

    @property
    def num_views(self) -> int:
        """Views a video."""
        return self.num_clips * self.num_crops

    def protocol(self) -> dict[str, Any]:
        """Return what of it decides a score, as results tell it; defaults go without saying."""
        unsaid = ("keep", "top_k" if self.average != "top_k" else "")
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name not in unsaid
            and (each.name == "top_k" or getattr(self, each.name) != each.default)
        }

    @classmethod
    def of_protocol(cls, protocol: Mapping[str, Any]) -> Views:
        """Return the views of what `protocol` gave, among whatever else stands there."""
        return cls(**{f.name: protocol[f.name] for f in fields(cls) if f.name in protocol})

    def one_view(self) -> Views:
        """Return the protocol of the validation: the middle clip, the centre crop."""
        return Views(num_clips=1, num_crops=1, average="probabilities", activation=self.activation)

    def sizes(self, resize_pixels: int, crop_pixels: int) -> tuple[int, int]:
        """Return short side and crop edge of the test, given the transform's, in pixels.

        Raises:
            ConfigError: the crop is larger than the short side.
        """
        short_side = self.short_side_pixels or resize_pixels
        short_side = min(self.size_pixels) if self.size_pixels else short_side
        crop = self.crop_pixels or crop_pixels
        if crop > short_side:
            raise ConfigError(
                f"a test crop of {crop} pixels does not fit into a short side of {short_side}; "
                "set views.short_side_pixels and views.crop_pixels"
            )
        return short_side, crop

    def video_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Make one prediction of the views of each video.

        Args:
            logits: (B, V, K), or (B, V, S, K) where a model speaks S times a clip; the
                probabilities are averaged over S in any case.

        Returns:
            float32 (B, K); rows of a softmax sum to 1.
        """
        return self._joined(self._scores(logits))

    def view_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return each view's own probabilities, float32 (B, V, K)."""
        return self._activated(self._scores(logits))

    def prefix_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the prediction of the first 1, 2, ... N clips in `clip_order`, all their crops.

        Returns:
            float32 (B, N, K); the last is that of `video_probabilities`.
        """
        scores = self._scores(logits).unflatten(1, (self.num_clips, self.num_crops))
        ordered = scores[:, list(clip_order(self.num_clips))]  # (B, N, M, K)
        prefixes = [self._joined(ordered[:, : n + 1].flatten(1, 2)) for n in range(self.num_clips)]
        return torch.stack(prefixes, 1)

    def _scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return (B, V, K): logarithms of the probabilities of a softmax, log-odds of a sigmoid."""
        logits = logits.float()
        if self.activation == "sigmoid":
            return logits.sigmoid().mean(2).logit() if logits.ndim == 4 else logits
        if logits.ndim == 4:
            return logits.log_softmax(-1).logsumexp(2).log_softmax(-1)
        return logits.log_softmax(-1)

    def _activated(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.exp() if self.activation == "softmax" else scores.sigmoid()

    def _joined(self, scores: torch.Tensor) -> torch.Tensor:
        """Average scores (B, V, K) to probabilities (B, K)."""
        if self.average == "logits":
            mean = scores.mean(1)
            return mean.softmax(-1) if self.activation == "softmax" else mean.sigmoid()
        probabilities = self._activated(scores)
        if self.average == "probabilities":
            return probabilities.mean(1)
        k = 1 if self.average == "max" else min(self.top_k, scores.shape[1])
        highest = probabilities.topk(k, dim=1).values.mean(1)
        return highest / highest.sum(-1, keepdim=True) if self.activation == "softmax" else highest


def clip_order(num_clips: int) -> tuple[int, ...]:
    """Return clips so that the first n of them are spread over the video: 2, 0, 4, 1, 3 of 5.

    The middle one first, then always the clip farthest from those before it, the earlier of two.
    In order of time, the first few clips would tell how early a video can be recognised, not what
    few clips of all of it would do.
    """
    order = [(num_clips - 1) // 2]
    while len(order) < num_clips:
        left = [clip for clip in range(num_clips) if clip not in order]
        order.append(max(left, key=lambda clip: (min(abs(clip - o) for o in order), -clip)))
    return tuple(order)
