"""Draws one shape on a torus: soft-edged, coloured, textured, over a textured background.

An `Appearance` is all that stays the same over a clip; `States` are position, angle and size by
frame. Only the box around the shape is drawn anew in each frame, all frames at once, and its
pixels are counted modulo the picture's side: what leaves on the right comes back on the left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from videoclf.generated.outlines import OUTLINES, Floats

Texture = Literal["plain", "stripes", "rings", "dots", "waves"]

#: Width of the soft edge in pixels: a shift by a tenth of a pixel changes the edge's grey values.
_EDGE_PIXELS = 1.5
#: Share of a shape's radius that its darker rim takes.
_RIM = 0.13


@dataclass(frozen=True)
class Surface:
    """Two colours and the texture that mixes them.

    Args:
        colours: float32 (2, 3), sRGB in [0, 1].
        texture: its kind.
        frequency: waves per unit of length.
        angle: direction of the texture in radians.
        phase: shift of the texture in radians.
    """

    colours: Floats
    texture: Texture
    frequency: float
    angle: float
    phase: float

    def paint(self, x: Floats, y: Floats) -> Floats:
        """Return colours (..., 3) at coordinates (...)."""
        along = (np.cos(self.angle) * x + np.sin(self.angle) * y).astype(np.float32)
        wave = np.float32(2 * np.pi * self.frequency)
        if self.texture == "plain":
            mix = 0.5 + 0.4 * along
        elif self.texture == "stripes":
            # a steep wave: stripes with soft borders
            mix = 0.5 + 0.5 * np.tanh(2.5 * np.sin(wave * along + self.phase))
        else:
            across = (np.cos(self.angle) * y - np.sin(self.angle) * x).astype(np.float32)
            if self.texture == "rings":
                radius = np.sqrt(along**2 + across**2)
                mix = 0.5 + 0.5 * np.tanh(2.5 * np.sin(wave * radius + self.phase))
            elif self.texture == "dots":
                bumps = np.sin(wave * along + self.phase) * np.sin(wave * across + self.phase)
                mix = 0.5 + 0.5 * np.tanh(4 * (bumps - 0.35))
            else:
                bent = along + 0.25 / self.frequency * np.sin(wave * across)
                mix = 0.5 + 0.5 * np.sin(wave * bent + self.phase)
        share = np.clip(mix, 0, 1).astype(np.float32)[..., None]
        colours: Floats = (1 - share) * self.colours[0] + share * self.colours[1]
        return colours


@dataclass(frozen=True)
class Appearance:
    """What a clip looks like, whatever moves.

    Args:
        outline: index into `OUTLINES`.
        shape: the shape's surface, in units of its radius; it moves with the shape.
        rim: the rim's colour, float32 (3,), sRGB in [0, 1].
        background: the surface behind, in units of the picture's side; it stays.
    """

    outline: int
    shape: Surface
    rim: Floats
    background: Surface

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Appearance:
        """Draw one; shape and background differ in lightness by at least 0.25 of 1."""
        outline = int(generator.integers(len(OUTLINES)))
        hue = generator.uniform(0, 2 * np.pi)
        dark = bool(generator.integers(2))
        lightness = generator.uniform(0.22, 0.36) if dark else generator.uniform(0.82, 0.92)
        step = generator.uniform(0.04, 0.09)
        chroma = generator.uniform(0.02, 0.07)
        background = _surface(
            generator,
            (lightness, chroma, hue),
            (lightness + step, chroma, hue + generator.uniform(-0.8, 0.8)),
            frequencies=(2, 5),
        )
        hue += generator.uniform(0.35, 1.65) * np.pi  # away from the background's
        lightness = generator.uniform(0.74, 0.84) if dark else generator.uniform(0.50, 0.60)
        chroma = generator.uniform(0.13, 0.19)
        shift = generator.uniform(-0.6, 0.6)
        shape = _surface(
            generator,
            (lightness, chroma, hue),
            (lightness - 0.12, chroma, hue + shift),
            frequencies=(0.7, 1.6),
        )
        rim = oklch_to_srgb(lightness + (0.12 if dark else -0.2), 0.6 * chroma, hue)
        return cls(outline, shape, rim, background)


@dataclass(frozen=True)
class States:
    """Where the shape is, by frame.

    Args:
        x: centre, float64 (T,), in sides of the picture from its left, modulo 1.
        y: centre, float64 (T,), in sides of the picture from its top, modulo 1.
        angle: float64 (T,), in radians, clockwise as seen.
        radius: float64 (T,), in sides of the picture; below 0.4.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    angle: NDArray[np.float64]
    radius: NDArray[np.float64]


def draw_frames(appearance: Appearance, states: States, size_pixels: int) -> NDArray[np.uint8]:
    """Draw all frames of a clip.

    A frame depends on its own state alone: states in another order give the same frames in that
    order, bit by bit.

    Args:
        appearance: what is drawn.
        states: of T frames.
        size_pixels: side of the square picture.

    Returns:
        uint8 (T, size_pixels, size_pixels, 3), RGB.
    """
    num_frames = len(states.x)
    grid = (np.arange(size_pixels, dtype=np.float32) + 0.5) / size_pixels - 0.5
    background = appearance.background.paint(grid[None, :], grid[:, None])  # (H, W, 3)
    frames = np.repeat(background[None], num_frames, axis=0)  # (T, H, W, 3)

    radius = (states.radius * size_pixels).astype(np.float32)[:, None, None]
    columns, across = _box(states.x, states.radius, size_pixels)  # (T, B) both
    rows, down = _box(states.y, states.radius, size_pixels)
    cosine = np.cos(states.angle).astype(np.float32)[:, None, None]
    sine = np.sin(states.angle).astype(np.float32)[:, None, None]
    # turned back by the angle: in pictures, y points down and positive angles turn clockwise
    x = (cosine * across[:, None, :] + sine * down[:, :, None]) / radius  # (T, B, B)
    y = (cosine * down[:, :, None] - sine * across[:, None, :]) / radius

    distance = OUTLINES[appearance.outline](x, y)
    inside = np.clip(0.5 - distance * radius / _EDGE_PIXELS, 0, 1)[..., None]
    core = np.clip(0.5 - (distance + _RIM) * radius / _EDGE_PIXELS, 0, 1)[..., None]
    colour = core * appearance.shape.paint(x, y) + (1 - core) * appearance.rim  # (T, B, B, 3)

    where = (np.arange(num_frames)[:, None, None], rows[:, :, None], columns[:, None, :])
    frames[where] += inside * (colour - frames[where])
    return np.rint(255 * frames).astype(np.uint8)


def _box(
    centre: NDArray[np.float64], radius: NDArray[np.float64], size_pixels: int
) -> tuple[NDArray[np.int64], Floats]:
    """Return the pixels around a centre along one axis, by frame, and their offsets from it.

    Returns:
        int64 (T, B), counted modulo the picture's side; float32 (T, B), in pixels.
    """
    reach = int(np.ceil(radius.max() * size_pixels + _EDGE_PIXELS))
    middle = centre[:, None] * size_pixels
    pixels = np.floor(middle).astype(np.int64) + np.arange(-reach, reach + 1)
    return pixels % size_pixels, (pixels + 0.5 - middle).astype(np.float32)


def _surface(
    generator: np.random.Generator,
    first: tuple[float, float, float],
    second: tuple[float, float, float],
    frequencies: tuple[float, float],
) -> Surface:
    """Draw a texture that mixes two colours, given as lightness, chroma and hue."""
    colours = np.stack([oklch_to_srgb(*first), oklch_to_srgb(*second)])
    textures = get_args(Texture)
    texture: Texture = textures[int(generator.integers(len(textures)))]
    frequency = generator.uniform(*frequencies)
    angle, phase = generator.uniform(0, 2 * np.pi, size=2)
    return Surface(colours, texture, float(frequency), float(angle), float(phase))


def oklch_to_srgb(lightness: float, chroma: float, hue: float) -> Floats:
    """Return an OKLCH colour in sRGB, clipped to [0, 1]; float32 (3,).

    Equal lightness looks equally light whatever the hue, which HSV does not offer. Matrices:
    Björn Ottosson, "A perceptual color space for image processing".

    Args:
        lightness: 0 is black, 1 is white.
        chroma: 0 is grey; sRGB reaches 0.1 to 0.3 by hue.
        hue: in radians.
    """
    lab = np.array([lightness, chroma * np.cos(hue), chroma * np.sin(hue)])
    to_cone = [
        [1, 0.3963377774, 0.2158037573],
        [1, -0.1055613458, -0.0638541728],
        [1, -0.0894841775, -1.2914855480],
    ]
    to_linear = [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
    linear = np.clip(np.array(to_linear) @ (np.array(to_cone) @ lab) ** 3, 0, 1)
    bent = 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    colour: Floats = np.where(linear <= 0.0031308, 12.92 * linear, bent).astype(np.float32)
    return colour
