"""A picture of a timeline as SVG: the likeliest classes' probabilities over time, the labels below.

It shows curves and names, no frame of the video.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

import numpy as np

from videoclf.predicting.segments import Segment

#: How many classes have a curve and a colour of their own.
MOST_CURVES = 6

_WIDTH, _LEFT, _RIGHT = 700, 46, 12
_HEAD, _PLOT_HEIGHT, _STRIP_HEIGHT = 62, 190, 22
_MOST_POINTS = 600
_COLOURS = ("#2b6cb0", "#d1495b", "#2f855a", "#b7791f", "#6b46c1", "#0f766e")
_OTHER, _INK, _FAINT, _GRID = "#a0aab4", "#1f2933", "#5a6672", "#e6e8eb"
_STEPS_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
_CHARACTER_WIDTH = 6.2  # of 11 pixel letters, about


def draw(
    *,
    title: str,
    subtitle: str,
    middles: np.ndarray,
    curves: Sequence[tuple[str, np.ndarray]],
    segments: Sequence[Segment],
    duration_seconds: float,
) -> str:
    """Return the picture as the text of an SVG file.

    Args:
        title: such as the file's name.
        subtitle: what was asked, of whom.
        middles: float64 (M,), seconds of the windows' middles, ascending.
        curves: name and probabilities, (M,) in [0, 1], of at most `MOST_CURVES` classes.
        segments: of the likeliest class.
        duration_seconds: of the video.
    """
    colours = {name: _COLOURS[place] for place, (name, _) in enumerate(curves)}
    legend, legend_lines = _legend(colours, any(s.label not in colours for s in segments))
    top = _HEAD + 18 * legend_lines
    below = top + _PLOT_HEIGHT
    height = below + _STRIP_HEIGHT + 54
    width = _WIDTH - _LEFT - _RIGHT

    def x_of(seconds: float) -> float:
        return _LEFT + width * seconds / duration_seconds

    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'width="{_WIDTH}" height="{height}" font-family="Helvetica, Arial, sans-serif">'
        ),
        f"<title>{escape(title)}: {escape(subtitle)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(_LEFT, 22, title, 15, _INK, bold=True),
        _text(_LEFT, 40, subtitle, 11, _FAINT),
        *legend,
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = below - share * _PLOT_HEIGHT
        lines.append(f'<path d="M{_LEFT} {y:.1f}h{width}" stroke="{_GRID}"/>')
        lines.append(_text(_LEFT - 6, y + 4, f"{share:.0%}", 11, _FAINT, anchor="end"))
    for name, values in curves:
        points = _points(middles, values, x_of, below)
        lines.append(
            f'<path d="{points}" fill="none" stroke="{colours[name]}" stroke-width="1.8" '
            'stroke-linejoin="round"/>'
        )
    lines += _strip(segments, colours, x_of, below + 8)
    lines += _time_axis(duration_seconds, x_of, below + 8 + _STRIP_HEIGHT)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _points(
    middles: np.ndarray, values: np.ndarray, x_of: Callable[[float], float], below: float
) -> str:
    """Return a path; of more windows than pixels show, means of neighbours."""
    parts = min(len(middles), _MOST_POINTS)
    means = [
        (x_of(float(times.mean())), below - float(part.mean()) * _PLOT_HEIGHT)
        for times, part in zip(
            np.array_split(middles, parts), np.array_split(values, parts), strict=True
        )
    ]
    if len(means) == 1:  # a single window holds for the whole video
        y = means[0][1]
        return f"M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in means)


def _legend(colours: dict[str, str], with_others: bool) -> tuple[list[str], int]:
    """Return the names beside their colours, and how many lines they take."""
    entries = [*colours.items(), *([("other classes", _OTHER)] if with_others else [])]
    lines, x, y = [], float(_LEFT), _HEAD
    for name, colour in entries:
        shown = name if len(name) <= 40 else f"{name[:38]}.."
        length = 16 + _CHARACTER_WIDTH * len(shown) + 18
        if x > _LEFT and x + length > _WIDTH - _RIGHT:
            x, y = float(_LEFT), y + 18
        lines.append(f'<rect x="{x:.0f}" y="{y - 9}" width="11" height="11" fill="{colour}"/>')
        lines.append(_text(x + 16, y, shown, 11, _INK))
        x += length
    return lines, (y - _HEAD) // 18 + 1


def _strip(
    segments: Sequence[Segment], colours: dict[str, str], x_of: Callable[[float], float], y: float
) -> list[str]:
    """Draw the segments, with their names where there is room."""
    lines = []
    for segment in segments:
        begin, end = x_of(segment.start), x_of(segment.end)
        lines.append(
            f'<rect x="{begin:.1f}" y="{y}" width="{max(0.5, end - begin - 0.5):.1f}" '
            f'height="{_STRIP_HEIGHT}" fill="{colours.get(segment.label, _OTHER)}"/>'
        )
        if _CHARACTER_WIDTH * len(segment.label) + 8 < end - begin:
            middle = (begin + end) / 2
            lines.append(_text(middle, y + 15, segment.label, 11, "#ffffff", anchor="middle"))
    return lines


def _time_axis(duration: float, x_of: Callable[[float], float], y: float) -> list[str]:
    step = next((s for s in _STEPS_SECONDS if duration / s <= 10), duration / 10)
    lines = []
    for count in range(math.floor(duration / step + 1e-9) + 1):
        x = x_of(count * step)
        lines.append(f'<path d="M{x:.1f} {y}v5" stroke="{_FAINT}"/>')
        lines.append(_text(x, y + 18, clock(count * step), 11, _FAINT, anchor="middle"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    lines.append(_text(middle, y + 36, "time in the video", 11, _FAINT, anchor="middle"))
    return lines


def clock(seconds: float) -> str:
    """Write a time as people do: 0:07, 12:30, 1:02:03; 0:00.4 below a second."""
    whole = round(seconds, 1)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    tail = f"{int(rest):02}" if float(whole).is_integer() else f"{rest:04.1f}"
    return f"{int(hours)}:{int(minutes):02}:{tail}" if hours else f"{int(minutes)}:{tail}"


def _text(
    x: float, y: float, words: str, size: int, colour: str, *, bold: bool = False, anchor: str = ""
) -> str:
    extra = ' font-weight="bold"' if bold else ""
    extra += f' text-anchor="{anchor}"' if anchor else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"{extra}>'
        f"{escape(words)}</text>"
    )
