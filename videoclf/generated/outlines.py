"""Eight outlines without rotational symmetry, as signed distances from their edge.

Every outline fits the circle of radius 1 around the origin, in coordinates whose y points down
as in pictures. A turn of such a shape by any angle short of a full one shows. Floats are
negative inside; they come from circles, capsules and polygons, joined by minimum and cut by
maximum, after Inigo Quilez, "2D distance functions".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
#: (x, y) of any one shape -> signed distances of that shape.
Outline = Callable[[Floats, Floats], Floats]
Point = tuple[float, float]


def circle(x: Floats, y: Floats, centre: Point, radius: float) -> Floats:
    """Return the signed distance from a circle's edge."""
    return np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2) - radius


def capsule(x: Floats, y: Floats, start: Point, end: Point, radius: float) -> Floats:
    """Return the signed distance from the edge of a thick line with round ends."""
    return np.sqrt(_squared_distance(x, y, start, end)) - radius


def polygon(x: Floats, y: Floats, corners: Sequence[Point], rounding: float) -> Floats:
    """Return the signed distance from a polygon's edge, moved out by `rounding`."""
    squared = np.full_like(x, np.inf)
    inside = np.zeros(x.shape, bool)
    for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
        squared = np.minimum(squared, _squared_distance(x, y, start, end))
        if start[1] != end[1]:
            # a ray to the left of the point crosses an odd number of edges if the point is inside
            spans = (start[1] > y) != (end[1] > y)
            slope = (end[0] - start[0]) / (end[1] - start[1])
            inside ^= spans & (x - start[0] > slope * (y - start[1]))
    return np.where(inside, -1, 1).astype(x.dtype) * np.sqrt(squared) - rounding


def _squared_distance(x: Floats, y: Floats, start: Point, end: Point) -> Floats:
    """Return the squared distance from a line segment."""
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    from_x, from_y = x - start[0], y - start[1]
    share = (from_x * along_x + from_y * along_y) / (along_x**2 + along_y**2)
    share = np.clip(share, 0, 1)
    return (from_x - share * along_x) ** 2 + (from_y - share * along_y) ** 2


def crescent(x: Floats, y: Floats) -> Floats:
    """A moon a few days old."""
    return np.maximum(circle(x, y, (0.1, 0), 0.9), -circle(x, y, (0.5, 0), 0.66))


def drop(x: Floats, y: Floats) -> Floats:
    """A falling drop of water: a large circle below and a small one above, and their hull."""
    large, small, apart = 0.56, 0.1, 1.2
    tilt = (large - small) / apart  # sine of the sides' angle
    level = float(np.sqrt(1 - tilt**2))
    side, up = np.abs(x), 0.42 - y
    height = level * up - tilt * side
    on_side = level * side + tilt * up - large
    below = np.sqrt(side**2 + up**2) - large
    above = np.sqrt(side**2 + (up - apart) ** 2) - small
    return np.where(height < 0, below, np.where(height > level * apart, above, on_side))


def heart(x: Floats, y: Floats) -> Floats:
    """A heart: two quarter turns of a square's corner with half discs on its upper sides."""
    scale = 0.72
    side, up = scale * np.abs(x), 0.52 - scale * y  # the notch at (0, 1), the tip at (0, 0)
    disc = np.sqrt((side - 0.25) ** 2 + (up - 0.75) ** 2) - 0.5**1.5
    foot = 0.5 * np.maximum(side + up, 0)
    near_edge = (side - foot) ** 2 + (up - foot) ** 2
    edge = np.sqrt(np.minimum(side**2 + (up - 1) ** 2, near_edge)) * np.sign(side - up)
    return np.where(side + up > 1, disc, edge) / scale


def fish(x: Floats, y: Floats) -> Floats:
    """A fish that looks to the right."""
    body = np.maximum(circle(x, y, (0.22, 0.5), 0.88), circle(x, y, (0.22, -0.5), 0.88))
    tail = polygon(x, y, [(-0.3, 0), (-0.83, -0.42), (-0.68, 0), (-0.83, 0.42)], 0.06)
    return np.minimum(body, tail)


def arrow(x: Floats, y: Floats) -> Floats:
    """A fat arrow that points up."""
    corners = [(0.0, -0.9), (0.72, -0.1), (0.28, -0.1), (0.28, 0.85)]
    return polygon(x, y, corners + [(-a, b) for a, b in reversed(corners[1:])], 0.07)


def dart(x: Floats, y: Floats) -> Floats:
    """A paper dart, notched at its tail."""
    return polygon(x, y, [(0, -0.9), (0.68, 0.62), (0, 0.25), (-0.68, 0.62)], 0.07)


def letter(x: Floats, y: Floats) -> Floats:
    """A letter F."""
    stem = capsule(x, y, (-0.4, -0.65), (-0.4, 0.68), 0.2)
    arms = np.minimum(
        capsule(x, y, (-0.4, -0.65), (0.42, -0.65), 0.2),
        capsule(x, y, (-0.4, 0.0), (0.25, 0.0), 0.2),
    )
    return np.minimum(stem, arms)


def key(x: Floats, y: Floats) -> Floats:
    """A key with its bow on the left."""
    bow = np.abs(circle(x, y, (-0.5, 0), 0.32)) - 0.17
    shaft = capsule(x, y, (-0.1, 0), (0.82, 0), 0.15)
    teeth = np.minimum(
        capsule(x, y, (0.78, 0), (0.78, 0.38), 0.13),
        capsule(x, y, (0.4, 0), (0.4, 0.3), 0.13),
    )
    return np.minimum(np.minimum(bow, shaft), teeth)


OUTLINES: tuple[Outline, ...] = (crescent, drop, heart, fish, arrow, dart, letter, key)
