"""An explanation as a picture: frames, the same with heat over them, and how much each weighs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from videoclf.explaining.clips import Clips
from videoclf.explaining.explanation import Explanation

#: More frames than this are shown evenly thinned out; the bars show all.
MAX_FRAMES = 12
BAR = "#1f5fa8"
EVEN = "#9a9a94"
#: Heat at its strongest covers the frame by this much.
_OPACITY = 0.85
#: The full colour means at least so many times the even share.
_LEAST_FULL = 2.0
_MAX_WIDTH_INCHES = 9.0
_MAX_FRAME_INCHES = 1.5


def draw(explanation: Explanation, clips: Clips, title: str, path: Path) -> None:
    """Write a PNG: three rows a clip, frames, heat over them, and each frame's share as a bar."""
    num_clips, num_frames = clips.seconds.shape
    shown = np.unique(np.linspace(0, num_frames - 1, MAX_FRAMES).round().astype(int))
    _, _, height, width, _ = clips.pictures.shape
    across = min(_MAX_FRAME_INCHES, (_MAX_WIDTH_INCHES - 0.6) / len(shown))
    down = across * height / width  # inches of a frame's height
    figure = Figure(
        figsize=(0.6 + across * max(4, len(shown)), 0.55 + num_clips * (2 * down + 1.5)),
        layout="constrained",
    )
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    parts = figure.subfigures(num_clips, 1, squeeze=False)[:, 0]
    for number, part in enumerate(parts):
        rows = part.subplots(3, 1, height_ratios=[down, down, 0.8])
        pictures = clips.pictures[number, shown]  # (n, H, W, 3)
        _strip(rows[0], pictures, "frames")
        heat = explanation.heat[number]  # (T, H, W)
        full, even = full_colour(heat), 1 / heat.size
        _strip(rows[1], overlay(pictures, heat[shown], full, even), "heat")
        legend = f"no colour: up to the even share; full colour: from {full / even:.1f} times that"
        rows[1].set_xlabel(legend, fontsize=8, labelpad=2)
        _bars(rows[2], explanation.shares[number], clips.seconds[number])
    figure.savefig(path, dpi=110, facecolor="white", format="png")


def full_colour(heat: np.ndarray) -> float:
    """Return the heat, of (T, H, W) that sum to 1, from which on the colour is full.

    One pixel in a hundred has it, but for heat that is nearly even: that stays pale, as it says
    next to nothing.
    """
    return max(float(np.quantile(heat, 0.99)), _LEAST_FULL / heat.size)


def overlay(pictures: np.ndarray, heat: np.ndarray, full: float, even: float) -> np.ndarray:
    """Lay heat over frames: the hotter, the more of the colour, and the less of the frame.

    Args:
        pictures: uint8 (N, H, W, 3).
        heat: float (N, H, W), not negative.
        full: heat of the full colour.
        even: the even share; heat up to it has no colour.

    Returns:
        uint8 (N, H, W, 3).
    """
    strength = np.clip((heat - even) / (full - even), 0, 1)  # (N, H, W)
    colours = 255 * colormaps["inferno"](0.45 + 0.35 * strength)[..., :3]
    opacity = _OPACITY * strength[..., None]
    grey = pictures.mean(-1, keepdims=True)  # so that all colour is heat
    mixed: np.ndarray = (1 - opacity) * grey + opacity * colours
    return mixed.round().astype(np.uint8)


def _strip(axes: Axes, pictures: np.ndarray, label: str) -> None:
    """Show frames side by side, with a gap of white."""
    _, height, width, _ = pictures.shape
    gap = np.full((height, max(1, width // 24), 3), 255, np.uint8)
    pieces = [piece for picture in pictures for piece in (picture, gap)][:-1]
    axes.imshow(np.concatenate(pieces, axis=1), interpolation="nearest", aspect="auto")
    axes.set_ylabel(label, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _bars(axes: Axes, shares: np.ndarray, seconds: np.ndarray) -> None:
    """Draw each frame's share in per cent, with a line where all would be equal."""
    places = np.arange(len(shares))
    axes.bar(places, 100 * shares, width=0.85, color=BAR)
    axes.axhline(100 / len(shares), color=EVEN, linewidth=1, linestyle="--")
    axes.set_xlim(-0.5, len(shares) - 0.5)
    ticks = places[:: max(1, len(places) // 12)]
    axes.set_xticks(ticks, [f"{seconds[tick]:.2f}" for tick in ticks])
    axes.set_xlabel("seconds", fontsize=9, labelpad=1)
    axes.set_ylabel("% of heat", fontsize=9)
    axes.tick_params(labelsize=8, length=2)
    axes.spines[["top", "right"]].set_visible(False)
