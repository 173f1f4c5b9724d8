"""`hf:<repository>` or `hf:<folder>`: video networks as the package transformers saves them.

config.json says which network and its shape, preprocessor_config.json how frames are prepared,
model.safetensors has the weights. The package itself is not needed. How many source frames lie
between two of a clip stands in none of them: it is the papers', in the table below, or on a card in
`cards/hf`, which also has accuracy and licence.
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
from videoclf.weights.sources import Name, carded_source
from videoclf.weights.sources.hugging_face import from_hub

Settings = Mapping[str, Any]
CONFIG, PREPARATION, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
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
    found = _prepared(found, _json(name, PREPARATION, optional=True))
    own = carded_source.CARDS / name.scheme / f"{name.entry}.yaml"
    if not own.is_file():
        return found
    more = read_card(own)
    check_order(more, found.classes, of=f"its {CONFIG}")
    return replace(
        found,
        stride=more.stride or found.stride,
        class_set=more.class_set,
        views=more.views,
        accuracy=more.accuracy,
        accuracy_source=more.accuracy_source,
        licence=more.licence,
        notes=more.notes,
    )


def fetch(name: Name) -> Path:
    """Return the weights' file.

    Raises:
        CheckpointError: it is not there and cannot be fetched.
    """
    return _file(name, WEIGHTS)


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


#: model_type of config.json -> what its settings are here.
FAMILIES: Mapping[str, Callable[[Name, Settings], Card]] = {
    "videomae": _videomae,
    "timesformer": _timesformer,
    "vivit": _vivit,
}


def _card(name: Name, config: Settings, *, model: str, stride: int, settings: Settings) -> Card:
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


def _json(name: Name, file: str, *, optional: bool = False) -> Any:
    """Read a JSON file of a repository, or None where it may be missing."""
    try:
        path = _file(name, file)
    except CheckpointError:
        if optional:
            return None
        raise
    return json.loads(path.read_text(encoding="utf-8"))


def _file(name: Name, file: str) -> Path:
    folder = Path(name.entry).expanduser()
    if not folder.is_dir():
        return from_hub(name, name.entry, file)
    if not (folder / file).is_file():
        raise CheckpointError(f"{folder} has no {file}; give a folder as transformers saves it")
    return folder / file
