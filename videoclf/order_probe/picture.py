"""Accuracies of the versions side by side, with their intervals, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from videoclf.order_probe.measuring import OrderProbe

_WIDTH, _LEFT, _RIGHT, _HEAD, _ROW = 700, 122, 74, 58, 30
_PLAIN, _MOVING, _STILL = "#2b6cb0", "#d1935b", "#a0aab4"
_INK, _FAINT, _GRID = "#1f2933", "#5a6672", "#e6e8eb"
_COLOURS = {"plain": _PLAIN, "reversed": _MOVING, "shuffled": _MOVING}


def draw(found: OrderProbe, *, title: str, subtitle: str) -> str:
    """Return the picture as the text of an SVG file."""
    names: Sequence[str] = list(found.hits)
    below = _HEAD + _ROW * len(names)
    width = _WIDTH - _LEFT - _RIGHT
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {below + 46}" '
            f'width="{_WIDTH}" height="{below + 46}" font-family="Helvetica, Arial, sans-serif">'
        ),
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{below + 46}" fill="#ffffff"/>',
        _text(14, 22, title, 15, _INK, bold=True),
        _text(14, 40, subtitle, 11, _FAINT),
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _LEFT + share * width
        lines.append(f'<path d="M{x:.1f} {_HEAD - 4}V{below}" stroke="{_GRID}"/>')
        lines.append(_text(x, below + 16, f"{share:.0%}", 11, _FAINT, anchor="middle"))
    for row, name in enumerate(names):
        y = _HEAD + row * _ROW
        accuracy = found.accuracy(name)
        colour = _COLOURS.get(name, _STILL)
        lines.append(_text(_LEFT - 8, y + 15, name, 12, _INK, anchor="end"))
        lines.append(
            f'<rect x="{_LEFT}" y="{y + 2}" width="{accuracy.value * width:.1f}" height="18" '
            f'fill="{colour}"/>'
        )
        if accuracy.interval is not None:
            low, high = (_LEFT + bound * width for bound in accuracy.interval)
            lines.append(
                f'<path d="M{low:.1f} {y + 7}v8m0 -4H{high:.1f}m0 -4v8" stroke="{_INK}" '
                'fill="none" stroke-width="1.3"/>'
            )
        lines.append(_text(_WIDTH - _RIGHT + 8, y + 15, f"{accuracy.value:.1%}", 12, _INK))
    chance = _LEFT + found.chance * width
    lines.append(
        f'<path d="M{chance:.1f} {_HEAD - 4}V{below}" stroke="{_INK}" stroke-dasharray="4 3"/>'
    )
    axis = "top-1 accuracy with 95 % intervals; dashed: the most frequent class"
    lines.append(_text(_LEFT + width / 2, below + 36, axis, 11, _FAINT, anchor="middle"))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _text(
    x: float, y: float, words: str, size: int, colour: str, *, bold: bool = False, anchor: str = ""
) -> str:
    extra = ' font-weight="bold"' if bold else ""
    extra += f' text-anchor="{anchor}"' if anchor else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"{extra}>'
        f"{escape(words)}</text>"
    )
