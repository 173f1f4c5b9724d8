"""Published counts of networks, to stand beside our own: `published.csv` with their sources.

The column `model` names our config; it is empty for networks that we do not have. `parameters` and
`gmacs` are as published, at `num_frames` x `crop_pixels`^2 and `num_classes`; 0 classes means
without the classifier. Nearly every published "GFLOPs" counts multiply-accumulates.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class Published:
    """A row of the file.

    Args:
        model: our config, or empty.
        name: in its source.
        source: code or paper.
        num_frames: of the clip that the operations were counted at.
        crop_pixels: of the same.
        num_classes: of the classifier; 0 where it is not counted.
        parameters: an integer, or rounded such as `28.0M`; may be empty.
        gmacs: in 10^9; may be empty.
        convention: what `gmacs` counts.
        top1: published accuracy in percent; may be empty.
        dataset: of the accuracy.
        where: file or paper.
    """

    model: str
    name: str
    source: str
    num_frames: int
    crop_pixels: int
    num_classes: int
    parameters: str
    gmacs: str
    convention: str
    top1: str
    dataset: str
    where: str


@cache
def all_published() -> tuple[Published, ...]:
    """Read the file."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Published(
                **{
                    key: int(value)
                    if key in ("num_frames", "crop_pixels", "num_classes")
                    else value
                    for key, value in row.items()
                }  # type: ignore[arg-type]
            )
            for row in csv.DictReader(file)
        )


def published(model: str) -> list[Published]:
    """Return the rows of one of our configs; the first is the one to compare with."""
    return [row for row in all_published() if row.model == model]
