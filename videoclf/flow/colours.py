"""Flow as a picture: hue is the direction, saturation the speed; the wheel is its legend.

The code of Baker, Scharstein, Lewis, Roth, Black, Szeliski, "A Database and Evaluation
Methodology for Optical Flow", ICCV 2007 (Middlebury). Rest is white.
"""

from __future__ import annotations

from functools import cache

import numpy as np

#: Hues from red to yellow, to green, cyan, blue, magenta and back: more where the eye tells more.
_HUES = (15, 6, 4, 11, 13, 6)
#: Red, green, blue at the beginning of each stretch.
_CORNERS = ((1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0))
#: What lies beyond the full speed is darker by this.
_BEYOND = 0.75


def flow_colours(fields: np.ndarray, full_pixels: float) -> np.ndarray:
    """Colour flow.

    Args:
        fields: float (..., H, W, 2), x and y in pixels.
        full_pixels: displacement of the full colour; faster motion is darkened.

    Returns:
        uint8 (..., H, W, 3), RGB.

    Raises:
        ValueError: `full_pixels` is not above 0.
    """
    if not full_pixels > 0:
        raise ValueError(f"the displacement of the full colour must be above 0, not {full_pixels}")
    wheel = _wheel()
    speed = np.linalg.norm(fields, axis=-1) / full_pixels  # (..., H, W)
    turn = np.arctan2(-fields[..., 1], -fields[..., 0]) / np.pi  # -1 to 1
    place = (turn + 1) / 2 * (len(wheel) - 1)
    first = np.floor(place).astype(int)
    part = (place - first)[..., None]
    hue = (1 - part) * wheel[first] + part * wheel[(first + 1) % len(wheel)]  # (..., H, W, 3)
    speed = speed[..., None]
    colour = np.where(speed <= 1, 1 - speed * (1 - hue), hue * _BEYOND)
    picture: np.ndarray = np.floor(255 * colour)
    return picture.astype(np.uint8)


def colour_wheel(side_pixels: int, background: int = 255) -> np.ndarray:
    """Draw the legend: each point is coloured as the displacement from the centre to it.

    Args:
        side_pixels: width and height.
        background: grey around the wheel.

    Returns:
        uint8 (side_pixels, side_pixels, 3), RGB.
    """
    places = np.linspace(-1, 1, side_pixels)
    fields = np.stack(np.meshgrid(places, places), axis=-1)  # (H, W, 2)
    wheel = flow_colours(fields, 1.0)
    wheel[np.linalg.norm(fields, axis=-1) > 1] = background
    return wheel


@cache
def _wheel() -> np.ndarray:
    """Return the hues, float64 (55, 3) in [0, 1]."""
    stretches = []
    for num_hues, start, end in zip(_HUES, _CORNERS, _CORNERS[1:], strict=False):
        part = np.floor(255 * np.arange(num_hues)[:, None] / num_hues) / 255
        stretches.append(np.array(start) * (1 - part) + np.array(end) * part)
    return np.concatenate(stretches)
