"""How a network is run in an evaluation: what spares work, beside the protocol that says which."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from videoclf.errors import ConfigError
from videoclf.evaluation.comparison import Comparison, sample_rows
from videoclf.evaluation.folding import fold_batch_norms
from videoclf.evaluation.view_scorer import can_share_frames

if TYPE_CHECKING:
    from videoclf.data.datamodule import VideoDataModule

LAYOUTS = ("channels_last", "contiguous")


@dataclass(frozen=True)
class Plan:
    """How one evaluation is run.

    Args:
        share_frames: whether clips share frames.
        contiguous: whether clips are laid out channels first.
        comparison: what scores a sample of videos plainly; None where nothing changes a number.
        said: what results tell of it.
    """

    share_frames: bool = False
    contiguous: bool = False
    comparison: Comparison | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Inference:
    """Options of an evaluation beside its protocol.

    Whatever changes numbers, here or by `trainer.precision`, is reported with the change.

    Args:
        share_frames: encode each distinct frame of a video once for all its clips; None does so
            where the network encodes frames one by one and there are several clips.
        fold_batch_norm: fold batch norms into the convolutions before them.
        layout: of clips and filters in memory: `channels_last`, as in training, or `contiguous`.
        compare_videos: how many videos are scored plainly too, where something changes numbers;
            evenly spread over the subset; None takes all.
        save_every_seconds: how often finished videos are stored, for a killed evaluation to go on
            from; None never does.

    Raises:
        ValueError: a value out of range.
    """

    share_frames: bool | None = None
    fold_batch_norm: bool = False
    layout: Literal["channels_last", "contiguous"] = "channels_last"
    compare_videos: int | None = 0
    save_every_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(
                f"inference.layout={self.layout!r} must be one of {', '.join(LAYOUTS)}"
            )
        for name, value in (
            ("compare_videos", self.compare_videos),
            ("save_every_seconds", self.save_every_seconds),
        ):
            if value is not None and value < 0:
                raise ValueError(f"inference.{name}={value} must be null or at least 0")

    def prepare(
        self,
        model: nn.Module,
        datamodule: VideoDataModule,
        subset: str,
        *,
        precision: str,
        device: torch.device,
    ) -> Plan:
        """Change a model as the options say, and plan its evaluation.

        Args:
            model: with its weights, on the CPU; changed in place.
            datamodule: of the videos and their views.
            subset: of the videos.
            precision: of the trainer, such as `bf16-mixed`.
            device: that it will run on.

        Raises:
            ConfigError: an option that this model or device cannot follow.
        """
        share_frames = self.shares_frames(model, datamodule)
        on = self._changes_numbers(precision)
        if precision.startswith("bf16") and not _has_bfloat16(device):
            raise ConfigError(
                f"trainer.precision={precision}: {torch.cuda.get_device_name(device)} has no "
                "bfloat16 and would emulate it; use trainer.precision=32-true or 16-mixed"
            )
        comparison = None
        if on and self.compare_videos != 0:
            comparison = Comparison(
                copy.deepcopy(model).eval(),
                rows=sample_rows(datamodule.rows(subset), self.compare_videos),
                views=datamodule.views["test"],
                views_at_once=datamodule.batch_size,
            )
        if self.fold_batch_norm:
            on["inference.fold_batch_norm"] = fold_batch_norms(
                model.eval(), example_clips(datamodule)
            )
        if self.layout == "contiguous":
            for parameter in model.parameters():
                parameter.data = parameter.data.contiguous()
        said = {"share_frames": share_frames, **on}
        return Plan(share_frames, self.layout == "contiguous", comparison, said)

    def shares_frames(self, model: nn.Module, datamodule: VideoDataModule) -> bool:
        """Return whether clips share frames.

        Raises:
            ConfigError: they should, and cannot.
        """
        modalities = list(datamodule.modalities)
        possible = can_share_frames(model) and modalities == ["rgb"]
        if self.share_frames is None:
            return possible and datamodule.views["test"].num_clips > 1
        if self.share_frames and not possible:
            raise ConfigError(
                f"inference.share_frames=true, but {type(model).__name__} on data.modalities="
                f"{modalities} does not encode frames one by one (single frame, late fusion and "
                "CNN + RNN with model.frames_per_step=1 do); leave it out"
            )
        return self.share_frames

    def _changes_numbers(self, precision: str) -> dict[str, Any]:
        on: dict[str, Any] = {}
        if precision not in ("32-true", "64-true"):
            on["trainer.precision"] = precision
        if self.fold_batch_norm:
            on["inference.fold_batch_norm"] = True
        if self.layout != "channels_last":
            on["inference.layout"] = self.layout
        return on


def _has_bfloat16(device: torch.device) -> bool:
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def example_clips(datamodule: VideoDataModule) -> dict[str, torch.Tensor]:
    """Return two clips by modality as the test would give them, of noise: (2, C, T, H, W)."""
    _, edge = datamodule.views["test"].sizes(
        datamodule.transform.resize_pixels, datamodule.transform.crop_pixels
    )
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(
            (2, 2 if name == "flow" else 3, datamodule.sampler.num_frames, edge, edge),
            generator=generator,
        )
        for name in datamodule.modalities
    }
