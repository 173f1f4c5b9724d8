"""A picture of how the receptive field grows from layer to layer, in time and in space, as SVG.

A panel a network, a line a layer, the input's side on top. The strip is the clip, one cell a
frame; cells that a unit in the middle of the layer sees are filled. The square is the crop; its
filled part is what that unit sees of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from videoclf.profiling.fields import Field

_PANEL_WIDTH = 232
_PANELS_A_LINE = 3
_ROW_HEIGHT = 46
_HEAD_HEIGHT = 58
_STRIP = (14, 22, 150, 13)  # x, y, width and height within a row
_SQUARE = (176, 1, 36)  # x, y, edge
_MOST_ROWS = 9
_MOST_CELLS = 24  # more frames are a strip without gaps
_LONGEST_NAME = 17
_SEEN, _UNSEEN, _INK, _FAINT = "#d1495b", "#e6e8eb", "#1f2933", "#66717d"


@dataclass(frozen=True)
class Panel:
    """A network in the picture.

    Args:
        title: its name.
        subtitle: what its input is.
        layers: name and field of each, in the order of running.
        crop_pixels: edge of the crop.
    """

    title: str
    subtitle: str
    layers: Sequence[tuple[str, Field]]
    crop_pixels: int


def draw(panels: Sequence[Panel]) -> str:
    """Return the picture as the text of an SVG file."""
    shown = [growth(panel.layers) for panel in panels]
    lines = [
        shown[first : first + _PANELS_A_LINE] for first in range(0, len(shown), _PANELS_A_LINE)
    ]
    heights = [_HEAD_HEIGHT + _ROW_HEIGHT * max(map(len, line)) for line in lines]
    width = _PANEL_WIDTH * min(len(panels), _PANELS_A_LINE)
    height = sum(heights) + 26
    names = ", ".join(panel.title for panel in panels)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="Helvetica, Arial, sans-serif">'
        ),
        f"<title>Growth of the receptive field: {escape(names)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for place, panel in enumerate(panels):
        line, column = divmod(place, _PANELS_A_LINE)
        x, y = column * _PANEL_WIDTH, sum(heights[:line])
        parts.append(f'<g transform="translate({x} {y})">')
        parts += _panel(panel, shown[place])
        parts.append("</g>")
    parts += [
        _text(14, height - 9, "strip: the clip's frames; square: the crop;", 11, _FAINT),
        f'<rect x="228" y="{height - 18}" width="11" height="11" fill="{_SEEN}"/>'
        if len(panels) > 1
        else "",
        _text(244, height - 9, "seen by a unit in the middle of the layer", 11, _FAINT)
        if len(panels) > 1
        else "",
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def growth(layers: Sequence[tuple[str, Field]]) -> list[tuple[str, Field]]:
    """Keep the layers at which the field grows, at most nine of them, evenly, the last included."""
    grown: list[tuple[str, Field]] = []
    for name, field in layers:
        largest = grown[-1][1] if grown else None
        if largest is None or _amount(field) > _amount(largest):
            grown.append((name, field))
    if len(grown) <= _MOST_ROWS:
        return grown
    last = len(grown) - 1
    places = sorted({round(step * last / (_MOST_ROWS - 1)) for step in range(_MOST_ROWS)})
    return [grown[place] for place in places]


def _amount(field: Field) -> int:
    return sum(field.frames) * field.height_pixels * field.width_pixels


def _panel(panel: Panel, layers: Sequence[tuple[str, Field]]) -> list[str]:
    parts = [
        _text(14, 24, panel.title, 15, _INK, bold=True),
        _text(14, 42, panel.subtitle, 11, _FAINT),
    ]
    for place, (name, field) in enumerate(layers):
        parts.append(f'<g transform="translate(0 {_HEAD_HEIGHT + place * _ROW_HEIGHT})">')
        parts += [
            _text(14, 14, _short(name), 11, _INK),
            *_strip(field),
            *_square(field, panel.crop_pixels),
        ]
        parts.append(_text(164, 14, "x".join(map(str, field.size)), 11, _INK, end=True))
        parts.append("</g>")
    return parts


def _short(name: str) -> str:
    """Keep the end of a long name: that of the layer, not of what it is in."""
    return name if len(name) <= _LONGEST_NAME else f"..{name[2 - _LONGEST_NAME :]}"


def _strip(field: Field) -> list[str]:
    x, y, width, height = _STRIP
    frames = len(field.frames)
    cell = width / frames
    gap = 1 if frames <= _MOST_CELLS else 0
    parts = []
    first = 0
    for frame in range(1, frames + 1):
        ends = frame == frames or gap or field.frames[frame] != field.frames[first]
        if ends:  # a cell, or a run of equal ones
            colour = _SEEN if field.frames[first] else _UNSEEN
            parts.append(
                f'<rect x="{x + first * cell:.1f}" y="{y}" '
                f'width="{(frame - first) * cell - gap:.1f}" height="{height}" fill="{colour}"/>'
            )
            first = frame
    return parts


def _square(field: Field, crop_pixels: int) -> list[str]:
    x, y, edge = _SQUARE
    scale = edge / crop_pixels
    return [
        f'<rect x="{x}" y="{y}" width="{edge}" height="{edge}" fill="{_UNSEEN}"/>',
        (
            f'<rect x="{x + field.left_pixels * scale:.1f}" y="{y + field.top_pixels * scale:.1f}" '
            f'width="{max(1.5, field.width_pixels * scale):.1f}" '
            f'height="{max(1.5, field.height_pixels * scale):.1f}" fill="{_SEEN}"/>'
        ),
    ]


def _text(
    x: int, y: int, words: str, size: int, colour: str, *, bold: bool = False, end: bool = False
) -> str:
    extra = (' font-weight="bold"' if bold else "") + (' text-anchor="end"' if end else "")
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}"{extra}>{escape(words)}</text>'
