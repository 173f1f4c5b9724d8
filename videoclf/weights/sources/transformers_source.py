"""`hf:<repository>` or `hf:<folder>`: video networks as the package transformers saves them.

config.json says which network and its shape, preprocessor_config.json (of V-JEPA 2
video_preprocessor_config.json) how frames are prepared, model.safetensors has the weights, or the
files that model.safetensors.index.json names. The package itself is not needed. How many source
frames lie between two of a clip stands in none of them: it is the papers', in the table below, or
on a card in `cards/hf`, which also has accuracy and licence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from videoclf.errors import CheckpointError
from videoclf.weights.card import Card, read_card
from videoclf.weights.class_order import check_order
from videoclf.weights.shards import missing_shards, read_index
from videoclf.weights.sources import Name, carded_source
from videoclf.weights.sources.hugging_face import from_hub

Settings = Mapping[str, Any]
CONFIG, PREPARATION, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
VIDEO_PREPARATION, WEIGHTS_INDEX = "video_preprocessor_config.json", "model.safetensors.index.json"
#: Of VJEPA2VideoProcessor, where its file does not say others.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: What tells unnamed classes.
UNNAMED = "LABEL_"


def entries(scheme: str) -> tuple[str, ...]:
    """List the repositories that a card of ours describes."""
    return carded_source.entries(scheme)


def card(name: Name) -> Card:
    """Read the JSON files of a repository; what ours adds is what they do not say.

    Raises:
        CheckpointError: they are missing, or of a network that we have not.
    """
    config = _json(name, CONFIG)
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        raise CheckpointError(
            f"{name} is a {config.get('model_type')}, which no model here holds; those that are: "
            f"{', '.join(FAMILIES)}"
        )
    found = replace(family(name, config), classes=_classes(config))
    if config["model_type"] == "vjepa2":
        found = _video_prepared(found, _json(name, VIDEO_PREPARATION, optional=True) or {})
    else:
        found = _prepared(found, _json(name, PREPARATION, optional=True))
    own = carded_source.CARDS / name.scheme / f"{name.entry}.yaml"
    if not own.is_file():
        return found
    more = read_card(own)
    check_order(more, found.classes, of=f"its {CONFIG}")
    return replace(
        found,
        stride=more.stride or found.stride,
        fps=None if more.stride else found.fps,
        class_set=more.class_set,
        views=more.views,
        accuracy=more.accuracy,
        accuracy_source=more.accuracy_source,
        licence=more.licence,
        notes=more.notes,
    )


def fetch(name: Name) -> Path:
    """Return the weights' file, or the index of several, all of them being there.

    Raises:
        CheckpointError: one is not there and cannot be fetched.
    """
    try:
        return _file(name, WEIGHTS)
    except CheckpointError:
        index = _optional_file(name, WEIGHTS_INDEX)
        if index is None:
            raise
    for shard in read_index(index):
        _file(name, shard)
    apart = missing_shards(index)
    if apart:  # the hub's cache has a folder a revision
        raise CheckpointError(
            f"{', '.join(apart)} of {name} is of another revision than {WEIGHTS_INDEX} at "
            f"{index.parent}; delete what is cached of {name.entry}, and fetch all of it anew"
        )
    return index


def _videomae(name: Name, config: Settings) -> Card:
    """Tong et al. 2022, table 8 of the appendix: 16 frames, every fourth of Kinetics'."""
    return _card(
        name,
        config,
        model="videomae_b",
        stride=4,
        settings={"tubelet_frames": config["tubelet_size"], "positions": "line"},
    )


def _timesformer(name: Name, config: Settings) -> Card:
    """Bertasius et al. 2021, section 4: 8 frames, every 32nd."""
    kind = config.get("attention_type", "divided_space_time")
    attention = kind.partition("_")[0]
    return _card(name, config, model="timesformer_b", stride=32, settings={"attention": attention})


def _vivit(name: Name, config: Settings) -> Card:
    """Arnab et al. 2021, section 4.1: 32 frames, every second."""
    tubelet, rows, columns = config["tubelet_size"]
    if rows != columns:
        raise CheckpointError(f"{name} has tubelets of {rows} x {columns} pixels; ours are square")
    changed = {**config, "patch_size": rows}
    settings = {"tubelet_frames": tubelet, "factorisation": "joint"}
    found = _card(name, changed, model="vivit_b", stride=2, settings=settings)
    if config.get("hidden_act") == "gelu":
        return found
    return replace(found, notes="trained with an approximation of GELU; ours is exact")


def _vjepa2(name: Name, config: Settings) -> Card:
    """Assran et al. 2025, pretraining: 4 frames a second; the cards of probes have a stride."""
    crop, width = config["crop_size"], config["hidden_size"]
    unlike = {
        key: config[key]
        for key, ours in (("hidden_act", "gelu"), ("in_chans", 3), ("layer_norm_eps", 1e-6))
        if config.get(key, ours) != ours
    }
    if unlike:
        raise CheckpointError(f"{name} has {unlike}, which the vjepa2 of ours has not")
    heads = config["num_attention_heads"]
    changed = {
        **config,
        "num_frames": config["frames_per_clip"],
        "image_size": crop,
        "intermediate_size": int(width * config["mlp_ratio"]),
    }
    settings = {
        "tubelet_frames": config["tubelet_size"],
        "pooler_depth": config.get("num_pooler_layers", 3),
        "pooler_heads": heads,
    }
    found = _card(name, changed, model="vjepa2_l", stride=None, settings=settings)
    return replace(found, fps=4.0, mean=IMAGENET_MEAN, std=IMAGENET_STD)


#: model_type of config.json -> what its settings are here.
FAMILIES: Mapping[str, Callable[[Name, Settings], Card]] = {
    "videomae": _videomae,
    "timesformer": _timesformer,
    "vivit": _vivit,
    "vjepa2": _vjepa2,
}


def _card(
    name: Name, config: Settings, *, model: str, stride: int | None, settings: Settings
) -> Card:
    """Return what is alike in all of them."""
    width = config["hidden_size"]
    return Card(
        name=str(name),
        layout="transformers",
        model=model,
        model_settings={
            "patch_pixels": config["patch_size"],
            "width": width,
            "depth": config["num_hidden_layers"],
            "num_heads": config["num_attention_heads"],
            "mlp_ratio": config["intermediate_size"] / width,
            **settings,
        },
        num_frames=config["num_frames"],
        stride=stride,
        crop_pixels=config["image_size"],
        resize_pixels=config["image_size"],
        url=f"https://huggingface.co/{name.entry}",
    )


def _classes(config: Settings) -> tuple[str, ...]:
    """Return the class names in order; none where transformers made them up."""
    by_number = {int(number): str(label) for number, label in config.get("id2label", {}).items()}
    names = tuple(by_number[number] for number in sorted(by_number))
    classifies = any("Classification" in each for each in config.get("architectures") or ())
    made_up = all(each.startswith(UNNAMED) for each in names)
    return names if classifies and not made_up else ()


def _prepared(card: Card, preparation: Settings | None) -> Card:
    """Add what the processor does to frames."""
    if preparation is None:
        return card
    size, crop = preparation.get("size") or {}, preparation.get("crop_size") or {}
    both = (size["height"], size["width"]) if "height" in size else None
    return replace(
        card,
        mean=tuple(preparation.get("image_mean", card.mean)),
        std=tuple(preparation.get("image_std", card.std)),
        resize_pixels=both or size.get("shortest_edge", card.resize_pixels),
        crop_pixels=crop.get("height", card.crop_pixels),
        resizing="bilinear_antialias",
    )


def _video_prepared(card: Card, preparation: Settings) -> Card:
    """Add what VJEPA2VideoProcessor does: its short side follows from the crop, whatever is said.

    A crop of 256 pixels is taken of a short side of 292, the 256 / 224 of it.
    """
    assert card.crop_pixels is not None
    size: Any = preparation.get("crop_size") or card.crop_pixels
    crop = int(size["height"] if isinstance(size, Mapping) else size)
    return _prepared(
        card,
        {
            **preparation,
            "size": {"shortest_edge": crop * 256 // 224},
            "crop_size": {"height": crop},
        },
    )


def _json(name: Name, file: str, *, optional: bool = False) -> Any:
    """Read a JSON file of a repository, or None where it may be missing."""
    path = _optional_file(name, file) if optional else _file(name, file)
    return None if path is None else json.loads(path.read_text(encoding="utf-8"))


def _optional_file(name: Name, file: str) -> Path | None:
    """Return a file of a repository, or None where there is none, or none can be fetched."""
    try:
        return _file(name, file)
    except CheckpointError:
        return None


def _file(name: Name, file: str) -> Path:
    folder = Path(name.entry).expanduser()
    if not folder.is_dir():
        return from_hub(name, name.entry, file)
    if not (folder / file).is_file():
        raise CheckpointError(f"{folder} has no {file}; give a folder as transformers saves it")
    return folder / file
