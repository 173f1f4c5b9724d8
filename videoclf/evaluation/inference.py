"""How a network is run in an evaluation: what spares work, beside the protocol that says which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from videoclf.errors import ConfigError
from videoclf.evaluation.view_scorer import can_share_frames
from videoclf.evaluation.views import Views


@dataclass(frozen=True, kw_only=True)
class Inference:
    """Options of an evaluation that change its speed.

    Args:
        share_frames: encode each distinct frame of a video once for all its clips; None does so
            where the network encodes frames one by one and there are several clips.
    """

    share_frames: bool | None = None

    def shares_frames(self, model: nn.Module, modalities: Sequence[str], views: Views) -> bool:
        """Return whether clips share frames.

        Raises:
            ConfigError: they should, and cannot.
        """
        possible = can_share_frames(model) and tuple(modalities) == ("rgb",)
        if self.share_frames is None:
            return possible and views.num_clips > 1
        if self.share_frames and not possible:
            raise ConfigError(
                f"inference.share_frames=true, but {type(model).__name__} on data.modalities="
                f"{list(modalities)} does not encode frames one by one (single frame, late fusion "
                "and CNN + RNN with model.frames_per_step=1 do); leave it out"
            )
        return self.share_frames
