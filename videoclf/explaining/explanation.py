"""What a network says of a video's clips, and where and when it looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from videoclf.evaluation.views import Views
from videoclf.explaining.clips import Clips
from videoclf.explaining.grad_cam import grad_cam
from videoclf.explaining.heat import frame_shares, upsample
from videoclf.explaining.rollout import has_rollout, rollout

FORMAT = "videoclf explain 1"


@dataclass(frozen=True)
class Explanation:
    """Of one video.

    Attributes:
        method: rollout or grad-cam.
        layer: that Grad-CAM looked at; None for rollout.
        class_name: the class that is explained.
        probabilities: of each class by its name, averaged over the clips.
        maps: of each clip, float32 (T', H', W'), as coarse as the network's.
        heat: the same on every pixel, float32 (T, H, W), summing to 1 in each clip, or all 0.
        shares: of each frame, float32 (T,), likewise.
    """

    method: str
    layer: str | None
    class_name: str
    probabilities: Mapping[str, float]
    maps: Sequence[np.ndarray]
    heat: Sequence[np.ndarray]
    shares: Sequence[np.ndarray]

    def as_json(self, seconds: np.ndarray) -> dict[str, Any]:
        """Return the numbers; seconds are those of each frame, (N, T)."""
        best = sorted(self.probabilities.items(), key=lambda pair: -pair[1])[:5]
        return {
            "format": FORMAT,
            "method": self.method,
            "layer": self.layer,
            "class": self.class_name,
            "probability": self.probabilities[self.class_name],
            "best": dict(best),
            "clips": [
                {
                    "seconds": _rounded(times),
                    "shares": _rounded(shares),
                    "map": _rounded(found),
                }
                for times, shares, found in zip(seconds, self.shares, self.maps, strict=True)
            ],
        }


def explain(
    model: nn.Module,
    clips: Clips,
    *,
    class_names: Sequence[str],
    class_name: str | None,
    method: str,
    layer: str | None,
    average: Any = "probabilities",
) -> Explanation:
    """Explain what a model says of clips.

    Args:
        model: with its weights, on the CPU; put into eval mode.
        clips: of one video.
        class_names: of the model's classes.
        class_name: the class to explain; None takes the likeliest. Rollout is the same for all.
        method: auto (rollout where it is defined, else Grad-CAM), rollout or grad-cam.
        layer: for Grad-CAM; None chooses.
        average: of the clips, as in `Views`.

    Raises:
        ValueError: a method or layer that the model does not allow.
    """
    model.eval()
    with torch.no_grad():
        logits = model(**clips.inputs)  # (N, K) or (N, S, K)
    views = Views(num_clips=len(clips.seconds), num_crops=1, average=average)
    probabilities = views.video_probabilities(logits[None])[0].tolist()
    class_id = (
        int(np.argmax(probabilities)) if class_name is None else list(class_names).index(class_name)
    )
    if method == "auto":
        method = "rollout" if has_rollout(model) and layer is None else "grad-cam"
    maps, seen = [], None
    for number in range(len(clips.seconds)):
        inputs = {name: values[number : number + 1] for name, values in clips.inputs.items()}
        if method == "rollout":
            maps.append(rollout(model, next(iter(inputs.values()))))
        else:
            found, seen = grad_cam(model, inputs, class_id=class_id, layer=layer)
            maps.append(found)
    num_frames, height, width = next(iter(clips.inputs.values())).shape[2:]
    heat = [upsample(found, (num_frames, height, width)) for found in maps]
    return Explanation(
        method=method,
        layer=seen,
        class_name=class_names[class_id],
        probabilities=dict(zip(class_names, probabilities, strict=True)),
        maps=[found.numpy() for found in maps],
        heat=[each.numpy() for each in heat],
        shares=[frame_shares(each).numpy() for each in heat],
    )


def _rounded(values: np.ndarray) -> Any:
    return np.round(values.astype(np.float64), 6).tolist()
