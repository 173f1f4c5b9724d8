"""A network's logits of all views of videos: in full batches, and each frame encoded once.

Clips of one video share frames: ten of 16 frames in a video of 64 have 160 places for 64 pictures.
A frame-wise network (`encode_frames`, then `fuse`) encodes each distinct frame of a crop once and
reads every clip's features from there. What a picture gives does not depend on its neighbours, so
the logits are those of `forward`, but for the rounding of other batch sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

from videoclf.errors import ConfigError
from videoclf.evaluation.filled_batches import FilledBatches
from videoclf.types import Batch

#: How far logits may lie apart, as a share of the largest, by the rounding of other batch sizes.
_ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 0.05, torch.float16: 0.02}

Scored = list[tuple[Batch, torch.Tensor]]


def can_share_frames(model: nn.Module) -> bool:
    """Return whether a network encodes frames one by one, so that clips can share them.

    CNN + RNN with several frames a step does not, and weights that are sharded over ranks are
    gathered for `forward` only.
    """
    frame_wise = hasattr(model, "encode_frames") and hasattr(model, "fuse")
    one_by_one = getattr(model, "frames_per_step", 1) == 1
    return frame_wise and one_by_one and not isinstance(model, FSDPModule)


class ViewScorer:
    """Collects batches of videos and gives each the logits of its views.

    Args:
        model: in eval mode; clips by modality (N, C, T, H, W) -> logits (N, K) or (N, S, K).
        views_at_once: clips that go through it together; of frames, so many times T.
        contiguous: lay them out channels first, instead of last as they come.
    """

    def __init__(self, model: nn.Module, *, views_at_once: int, contiguous: bool = False) -> None:
        self.model: Any = model
        self.views_at_once = views_at_once
        self.contiguous = contiguous
        self._clips: FilledBatches[Batch] = FilledBatches(
            lambda clips: self.model(**self._laid(clips)), at_once=views_at_once
        )
        self._frames: FilledBatches[Batch] | None = None
        self._expected: torch.Tensor | None = None  # logits of the first clip, by `forward`

    def add(self, batch: Batch) -> Scored:
        """Take in a batch after the device transform.

        Returns:
            The batches that are done by now, without inputs, each with its logits
            (B, V, K) or (B, V, S, K).

        Raises:
            ConfigError: frames are shared, and the network does not treat them one by one.
        """
        tag = batch.with_inputs({})
        if batch.frame_rows is None:
            return _by_video(self._clips.add(batch.inputs, tag))
        frames = distinct_frames(batch.inputs)
        if self._frames is None:
            num_frames = batch.frame_rows.shape[2]
            self._frames = FilledBatches(
                lambda inputs: self.model.encode_frames(self._laid(inputs)["rgb"]),
                at_once=self.views_at_once * num_frames,
            )
            clip = self._laid({"rgb": clips_of(frames, batch.frame_rows[0, :1])})
            self._expected = self.model(**clip)
        return self._fused(self._frames.add({"rgb": frames}, tag))

    def rest(self) -> Scored:
        """Score what has not filled a batch, and return the batches that are done with it."""
        done = _by_video(self._clips.rest())
        return done if self._frames is None else done + self._fused(self._frames.rest())

    def _laid(self, inputs: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        return {n: x.contiguous() for n, x in inputs.items()} if self.contiguous else inputs

    def _fused(self, encoded: Scored) -> Scored:
        """Turn features of distinct frames (F, ...) into logits of views."""
        scored: Scored = []
        for batch, features in encoded:
            assert batch.frame_rows is not None
            rows = batch.frame_rows.flatten(0, 1)  # (B * V, T)
            pieces = [self.model.fuse(features[some]) for some in rows.split(self.views_at_once)]
            logits = torch.cat(pieces)  # (B * V, [S,] K)
            self._check(logits[:1])
            scored.append((batch, logits))
        return _by_video(scored)

    def _check(self, first: torch.Tensor) -> None:
        """Hold the first clip's logits against those of `forward`, once."""
        expected, self._expected = self._expected, None
        if expected is None:
            return
        most = _ROUNDING[expected.dtype] * max(1.0, float(expected.abs().max()))
        apart = float((first - expected).abs().max())
        if apart > most:
            raise ConfigError(
                f"inference.share_frames: {type(self.model).__name__}.forward gives other logits "
                f"(by {apart:.3g}) than `fuse` of `encode_frames`, so its frames are not encoded "
                "one by one; set inference.share_frames=false"
            )


def distinct_frames(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return shared frames (1, C, F, H, W) as pictures (F, C, H, W)."""
    return inputs["rgb"][0].transpose(0, 1)


def clips_of(frames: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Put clips (N, C, T, H, W) together from pictures (F, C, H, W), by rows int64 (N, T)."""
    return frames[rows].transpose(1, 2)


def _by_video(scored: Scored) -> Scored:
    return [(batch, logits.unflatten(0, (len(batch), batch.num_views))) for batch, logits in scored]
