"""Spatial windows: where the crops of training and of the test protocol lie. Pure arithmetic."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

#: How many crops a clip of the test may have.
NUM_CROPS = (1, 3, 5, 10)


class Box(NamedTuple):
    """A spatial window in pixels: rows [top, top + height), columns [left, left + width)."""

    top: int
    left: int
    height: int
    width: int


def random_area_box(
    height: int,
    width: int,
    generator: np.random.Generator,
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> Box | None:
    """Draw a window of random area and aspect; None if ten draws in a row do not fit.

    Source: Szegedy et al. 2015, section 6 (as in torchvision's RandomResizedCrop).

    Args:
        height: of the frame, in pixels.
        width: of the frame, in pixels.
        generator: of all draws.
        area: smallest and largest share of the frame's area, uniform.
        aspect: smallest and largest width / height, uniform in its logarithm.
    """
    for _ in range(10):
        pixels = height * width * generator.uniform(*area)
        ratio = math.exp(generator.uniform(*np.log(aspect)))
        box_width = round(math.sqrt(pixels * ratio))
        box_height = round(math.sqrt(pixels / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            return _random_place(height, width, box_height, box_width, generator)
    return None


def random_square(height: int, width: int, edge: int, generator: np.random.Generator) -> Box:
    """Draw the place of a square of `edge` pixels."""
    return _random_place(height, width, edge, edge, generator)


def largest_centre_square(height: int, width: int) -> Box:
    """Return the largest square that fits, in the middle."""
    edge = min(height, width)
    return Box((height - edge) // 2, (width - edge) // 2, edge, edge)


def view_boxes(
    height: int, width: int, edge: int, num_crops: int, *, even_centre: bool = False
) -> list[Box]:
    """Place the square crops of the test protocol.

    Args:
        height: of the frame, in pixels.
        width: of the frame, in pixels.
        edge: of a crop, in pixels.
        num_crops: 1 in the centre; 3 along the longer side; 5 top left, top right, bottom left,
            bottom right, centre; 10 are those five and their mirrors, which lie in the same boxes.
        even_centre: half a pixel in the middle is rounded to the even one, as torchvision does,
            instead of down.

    Raises:
        ValueError: a frame smaller than the crop, or another number of crops.
    """
    if num_crops not in NUM_CROPS:
        raise ValueError(f"views.num_crops={num_crops} must be 1, 3, 5 or 10")
    if min(height, width) < edge:
        raise ValueError(f"a frame of {width}x{height} has no crop of {edge} pixels")
    bottom, right = height - edge, width - edge
    centre = (bottom // 2, right // 2)
    if even_centre:
        centre = (round(bottom / 2), round(right / 2))
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    if num_crops == 1:
        places = [centre]
    elif num_crops == 3 and width >= height:
        places = [(bottom // 2, 0), centre, (bottom // 2, right)]
    elif num_crops == 3:
        places = [(0, right // 2), centre, (bottom, right // 2)]
    else:
        places = [*corners, centre]
    return [Box(top, left, edge, edge) for top, left in places]


def _random_place(
    height: int, width: int, box_height: int, box_width: int, generator: np.random.Generator
) -> Box:
    top = int(generator.integers(0, height - box_height + 1))
    left = int(generator.integers(0, width - box_width + 1))
    return Box(top, left, box_height, box_width)
