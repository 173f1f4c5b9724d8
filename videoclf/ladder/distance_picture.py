"""Local and global memory as a picture: accuracy against the distance of two events, as SVG.

A panel a strategy. Where its windows are shorter than the clip, a line stands at R, the frames that
one window sees; from there on a theorem holds accuracy at chance, and the ground is shaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from videoclf.ladder.strategies import Strategy
from videoclf.ladder.tasks import DISTANCES
from videoclf.ladder.verdicts import Entry

#: A panel is drawn for a strategy with so many distances or more.
FEWEST = 3
_WIDTH, _HEIGHT, _A_LINE = 172, 132, 5
_LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 30, 30, 130, 76
_INK, _FAINT, _LINE, _WALL, _SHADE = "#1f2933", "#66717d", "#184f8b", "#c2450f", "#f6ede8"
_CHANCE = 0.5


def draw_distances(strategies: Sequence[Strategy], found: Sequence[Entry]) -> str | None:
    """Return the text of an SVG file, or None where too few distances were run.

    Args:
        strategies: rows, in their order.
        found: cells; those of tasks with a distance are shown, and each seed of theirs.
    """
    panels = []
    for strategy in strategies:
        own = [e for e in found if e.strategy == strategy and e.column.is_distance]
        if len(own) >= FEWEST:
            panels.append((strategy, sorted(own, key=lambda e: e.column.frames_apart or 0)))
    if not panels:
        return None
    width = _WIDTH * min(len(panels), _A_LINE)
    height = _HEIGHT * -(-len(panels) // _A_LINE) + 18
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="Helvetica, Arial, sans-serif">'
        ),
        "<title>Accuracy of ordering two events, against the frames between them</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (strategy, own) in enumerate(panels):
        x, y = _WIDTH * (number % _A_LINE), _HEIGHT * (number // _A_LINE)
        parts += _panel(x, y, strategy, own)
    parts.append(_text(8, height - 6, "frames from one event to the other; R: frames of a window"))
    return "\n".join([*parts, "</svg>", ""])


def _panel(x: float, y: float, strategy: Strategy, own: Sequence[Entry]) -> list[str]:
    left, top = x + _LEFT, y + _TOP
    bottom, right = top + _PLOT_HEIGHT, left + _PLOT_WIDTH
    parts = [_text(left - 4, top - 14, strategy.name, 11.5, _INK)]
    if strategy.window_frames is not None:
        wall = _x(left, strategy.window_frames)
        parts += [
            (
                f'<rect x="{wall:.1f}" y="{top}" width="{right - wall:.1f}" '
                f'height="{_PLOT_HEIGHT}" fill="{_SHADE}"/>'
            ),
            _rule(wall, top, wall, bottom, _WALL),
            _text(wall + 3, top + 9, f"R = {strategy.window_frames}", 9, _WALL),
        ]
    for accuracy in (_CHANCE, 1.0):
        height = _y(top, accuracy)
        parts += [
            _rule(left, height, right, height, "#dfe3e8"),
            _text(left - 4, height + 3, f"{accuracy:.1f}", 9, _FAINT, "end"),
        ]
    for distance in DISTANCES:
        parts.append(_text(_x(left, distance), bottom + 11, str(distance), 9, _FAINT, "middle"))
    places = [(_x(left, e.column.frames_apart or 0), e) for e in own]
    points = " ".join(f"{at:.1f},{_y(top, entry.test):.1f}" for at, entry in places)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{_LINE}" stroke-width="1.8"/>')
    for at, entry in places:
        parts += [
            f'<circle cx="{at:.1f}" cy="{_y(top, each.test):.1f}" r="2.6" fill="{_LINE}">'
            f"<title>{escape(strategy.name)}, {entry.column.frames_apart} frames apart: "
            f"{each.test:.3f}</title></circle>"
            for each in entry.measured
        ]
    return parts


def _x(left: float, distance: float) -> float:
    """Return where a distance stands in a panel."""
    span = DISTANCES[-1] - DISTANCES[0] + 2
    return left + _PLOT_WIDTH * (distance - DISTANCES[0] + 1) / span


def _y(top: float, accuracy: float) -> float:
    """Return where an accuracy stands; the lower edge is a little below chance."""
    low = _CHANCE - 0.08
    return top + _PLOT_HEIGHT * (1.0 - (max(accuracy, low) - low) / (1.0 - low))


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" fill="none"/>'


def _text(
    x: float,
    y: float,
    text: str,
    size: float = 9.5,
    colour: str = _FAINT,
    anchor: str = "start",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
