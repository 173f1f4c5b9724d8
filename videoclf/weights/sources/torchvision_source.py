"""`torchvision:<model>/<weights>`, such as `torchvision:R3D_18/KINETICS400_V1`.

Classes, preprocessing, accuracy and URL are those of torchvision's own enums. Its sentence about
how the accuracy was measured holds frame rate, clips and frames a clip, and is read here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torchvision.models import get_model_weights, get_weight, list_models, video

from videoclf.build import nearest
from videoclf.errors import ConfigError
from videoclf.weights.card import Card
from videoclf.weights.hashes import hash_in
from videoclf.weights.sources import Name
from videoclf.weights.sources.torch_hub import from_torch_hub

#: torchvision's networks -> options of conf/model.
MODELS = {
    "r3d_18": "r3d_18",
    "mc3_18": "mc3_18",
    "r2plus1d_18": "r2plus1d_18",
    "s3d": "s3d",
    "mvit_v1_b": "mvit_v1_b",
    "mvit_v2_s": "mvit_v2_s",
    "swin3d_t": "swin3d_t",
    "swin3d_s": "swin3d_s",
    "swin3d_b": "swin3d_b",
}
#: What torchvision says in a sentence.
_NUMBERS = {
    name: re.compile(rf"`{name}=([\d.]+)`")
    for name in ("frame_rate", "clips_per_video", "clip_len")
}


def entries(scheme: str = "torchvision") -> tuple[str, ...]:
    """List torchvision's video weights."""
    return tuple(
        f"{scheme}:{weights.__class__.__name__.removesuffix('_Weights')}/{weights.name}"
        for model in list_models(module=video)
        for weights in get_model_weights(model)
    )


def card(name: Name) -> Card:
    """Read what torchvision says of its weights."""
    weights = _enum(name)
    meta, preset = weights.meta, weights.transforms()
    model = name.entry.partition("/")[0].lower()
    measured = {
        key: float(found.group(1))
        for key, pattern in _NUMBERS.items()
        if (found := pattern.search(meta["_docs"]))
    }
    metrics = meta["_metrics"]["Kinetics-400"]
    size = preset.resize_size
    return Card(
        name=str(name),
        layout="torchvision",
        model=MODELS[model],
        classes=tuple(meta["categories"]),
        class_set="kinetics400",
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        num_frames=int(measured["clip_len"]),
        fps=measured["frame_rate"],
        resize_pixels=size[0] if len(size) == 1 else (size[0], size[1]),
        crop_pixels=preset.crop_size[0],
        resizing="bilinear",
        views={"num_clips": int(measured["clips_per_video"]), "num_crops": 1},
        accuracy={"top1": metrics["acc@1"] / 100, "top5": metrics["acc@5"] / 100},
        accuracy_source=meta["recipe"],
        licence="BSD-3-Clause (torchvision's code); the weights' own is not stated",
        url=weights.url,
        sha256=hash_in(weights.url),
        notes=" ".join(meta["_docs"].split()),
    )


def fetch(name: Name) -> Path:
    """Return the file in torch hub's cache, downloaded and held against its hash if need be.

    Raises:
        CheckpointError: it is not there and cannot be fetched.
    """
    return from_torch_hub(name, _enum(name).url)


def _enum(name: Name) -> Any:
    known = entries(name.scheme)
    if str(name) not in known:
        raise ConfigError(f"torchvision has no video weights {name}{nearest(str(name), known)}")
    model, _, weights = name.entry.partition("/")
    return get_weight(f"{model}_Weights.{weights}")
