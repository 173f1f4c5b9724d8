"""A card: what an entry's weights are, and how a clip is prepared for them. No torch here.

What a publisher's package or file tells by itself (torchvision's enums, timm's configurations, the
JSON files of transformers) is read there; `cards/` holds the others as YAML, one file an entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from videoclf.errors import CheckpointError

#: How test frames are made smaller, see `videoclf.evaluation.views.Views`.
Resizing = Literal["decoder", "bilinear", "bilinear_antialias"]

#: Of a file without a card: found out by the names of its tensors.
UNKNOWN_LAYOUT = "unknown"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of an entry.

    Args:
        name: `<scheme>:<entry>`.
        layout: whose names the tensors have: torchvision, timm, transformers, pytorchvideo,
            pyslowfast, mmaction, videoclf, or unknown.
        model: an option of conf/model that the weights fit.
        model_settings: of its keys, where the option's own differ.
        classes: names of the head's rows, in order; empty where there is no class head, or nobody
            says which they are.
        class_set: the data set that they are of, as an option of conf/data where there is one.
        mean: of each channel in [0, 1], red first.
        std: likewise.
        colours: order of the channels that the first layer reads; `bgr` is turned while loading.
        num_frames: of a clip.
        stride: source frames from one to the next; or
        fps: frames a second of the clip.
        resize_pixels: short side of a test video; or (height, width), aspect not kept.
        crop_pixels: edge of the crop.
        resizing: how frames are resized for the test.
        views: keys of conf/views by which the accuracy was measured, where they differ.
        accuracy: published, by metric, in [0, 1].
        accuracy_source: where it is published.
        licence: of the weights.
        url: of the file.
        sha256: of the file, or its first eight digits or more.
        logits: of the first classes for the clip of noise of `videoclf weights verify`.
        notes: what else is to be known, a sentence.
    """

    name: str
    layout: str
    model: str | None = None
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    class_set: str | None = None
    mean: tuple[float, ...] = (0.45, 0.45, 0.45)
    std: tuple[float, ...] = (0.225, 0.225, 0.225)
    colours: Literal["rgb", "bgr"] = "rgb"
    num_frames: int | None = None
    stride: int | None = None
    fps: float | None = None
    resize_pixels: int | tuple[int, int] | None = None
    crop_pixels: int | None = None
    resizing: Resizing = "decoder"
    views: Mapping[str, Any] = field(default_factory=dict)
    accuracy: Mapping[str, float] = field(default_factory=dict)
    accuracy_source: str | None = None
    licence: str | None = None
    url: str | None = None
    sha256: str | None = None
    logits: tuple[float, ...] = ()
    notes: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes):
            twice = next(name for name in self.classes if self.classes.count(name) > 1)
            raise CheckpointError(f"the card of {self.name} names the class {twice!r} twice")
        if self.stride is not None and self.fps is not None:
            raise CheckpointError(f"the card of {self.name} has both a stride and a frame rate")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values only, without those that are not known."""
        plain = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }
        return {key: value for key, value in plain.items() if value not in (None, [], {})}


def card_of(values: Mapping[str, Any], *, place: str) -> Card:
    """Make a card of plain values.

    Args:
        values: by its fields; lists become tuples.
        place: where they were read, for the error.

    Raises:
        CheckpointError: an unknown or missing field, or values that contradict each other.
    """
    known = {each.name for each in fields(Card)}
    unknown = sorted(set(values) - known)
    missing = sorted({"name", "layout"} - set(values))
    if unknown or missing:
        wrong = f"an unknown field {unknown[0]!r}" if unknown else f"no field {missing[0]!r}"
        raise CheckpointError(
            f"the card {place} has {wrong}; its fields: {', '.join(sorted(known))}"
        )
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Card(**plain)


def read_card(path: Path) -> Card:
    """Read a card from a YAML file.

    Raises:
        CheckpointError: it is missing, or no card.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise CheckpointError(f"cannot read the card {path}: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is no card: it holds no fields")
    return card_of(values, place=str(path))


def write_card(card: Card, path: Path) -> None:
    """Write a card as YAML."""
    text = yaml.safe_dump(card.as_dict(), sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")
