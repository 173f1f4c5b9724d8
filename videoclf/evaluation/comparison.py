"""What options cost in exactness: a sample of videos scored by the plain network as well."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from videoclf.evaluation.scores import Scores
from videoclf.evaluation.view_scorer import clips_of, distinct_frames
from videoclf.evaluation.views import Views
from videoclf.types import Batch


class Comparison:
    """Scores some videos with the network as it was trained: 32 bits, nothing folded, no sharing.

    Args:
        model: a copy that nothing is done to, in eval mode.
        rows: int64 (n,), of the manifest: the videos.
        views: how they are seen.
        views_at_once: clips that go through the network together.
    """

    def __init__(
        self, model: nn.Module, *, rows: np.ndarray, views: Views, views_at_once: int
    ) -> None:
        self.model = model
        self.rows = frozenset(rows.tolist())
        self.views = views
        self.views_at_once = views_at_once
        self._found: dict[int, torch.Tensor] = {}

    def note(self, batch: Batch) -> None:
        """Score those videos that are compared of a batch after the device transform."""
        step = self.views_at_once
        for place, row in enumerate(batch.indices.tolist()):
            if row not in self.rows:
                continue
            clips = _clips(batch, place)
            device = next(iter(clips.values())).device
            self.model.to(device)
            with torch.autocast(device.type, enabled=False):
                pieces = [
                    self.model(**{name: each[first : first + step] for name, each in clips.items()})
                    for first in range(0, batch.num_views, step)
                ]
            logits = torch.cat(pieces)[None]  # (1, V, [S,] K)
            self._found[row] = self.views.video_probabilities(logits)[0].cpu()

    def column(self, indices: torch.Tensor, num_classes: int) -> torch.Tensor:
        """Return and forget the plain probabilities of videos, (n, K); NaN of the others."""
        none = torch.full((num_classes,), float("nan"))
        return torch.stack([self._found.pop(row, none) for row in indices.tolist()])


def sample_rows(rows: np.ndarray, count: int | None) -> np.ndarray:
    """Return so many rows, evenly spread over them; None returns all."""
    if count is None or count >= len(rows):
        return rows
    chosen: np.ndarray = rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
    return chosen


def changes(scores: Scores) -> dict[str, float | int]:
    """Return how far the probabilities lie from those of the plain network.

    Returns:
        `compared_videos`; `largest_change` and `mean_change` of all their probabilities;
        `top1_changed`, of how many videos the first answer is another. Nothing where no video was
        compared.
    """
    plain = scores.columns.get("plain")
    if plain is None:
        return {}
    compared = scores.available & ~plain.isnan().any(1)
    if not bool(compared.any()):
        return {"compared_videos": 0}
    own, plain = scores.probabilities[compared], plain[compared]
    apart = (own.double() - plain.double()).abs()
    return {
        "compared_videos": int(compared.sum()),
        "largest_change": float(apart.max()),
        "mean_change": float(apart.mean()),
        "top1_changed": int((own.argmax(1) != plain.argmax(1)).sum()),
    }


def _clips(batch: Batch, place: int) -> Mapping[str, torch.Tensor]:
    """Return all views of one video of a batch, (V, C, T, H, W) by modality."""
    if batch.frame_rows is not None:
        return {"rgb": clips_of(distinct_frames(batch.inputs), batch.frame_rows[place])}
    views = slice(place * batch.num_views, (place + 1) * batch.num_views)
    return {name: clips[views] for name, clips in batch.inputs.items()}
