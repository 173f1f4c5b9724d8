"""The ladder as a picture: a square for each strategy and task, as SVG.

Colour runs from chance (pale) to 1 (dark). A square with a bar across its top has a theorem's
ceiling, the bar as long as the ceiling is high, and dashed where it holds on average over seeds; a
dot in its corner marks a prediction, hollow where it was missed. Each seed is a tick below the
mean. A square that was not run is empty but for its ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from videoclf.ladder.predictions import Claim, Said, say
from videoclf.ladder.strategies import Strategy
from videoclf.ladder.tasks import Column
from videoclf.ladder.verdicts import Entry, Verdict

_LEFT, _TOP, _CELL, _ROW = 176, 112, 52, 30
_INK, _FAINT, _EMPTY, _WRONG = "#1f2933", "#66717d", "#f1f2f3", "#c2450f"
_PALE, _DARK = (238, 243, 249), (24, 79, 139)


def draw(strategies: Sequence[Strategy], columns: Sequence[Column], found: Sequence[Entry]) -> str:
    """Return the picture as the text of an SVG file; what was not run stays empty."""
    by_place = {(e.strategy.name, e.column.name): e for e in found}
    width = _LEFT + _CELL * len(columns) + 40
    height = _TOP + _ROW * len(strategies) + 62
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="Helvetica, Arial, sans-serif">'
        ),
        "<title>The temporal ladder: accuracy of each strategy on each task</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for place, column in enumerate(columns):
        x = _LEFT + _CELL * place + _CELL / 2
        name = escape(column.name.replace("_", " "))
        parts.append(
            f'<text transform="translate({x - 4:.0f},{_TOP - 22}) rotate(-38)" font-size="12" '
            f'fill="{_INK}">{name}</text>'
            f'<text x="{x:.0f}" y="{_TOP - 6}" font-size="9.5" fill="{_FAINT}" '
            f'text-anchor="middle">{1 / column.num_classes:.2f}</text>'
        )
    parts.append(_text(_LEFT - 8, _TOP - 6, "chance", 9.5, _FAINT, anchor="end"))
    for line, strategy in enumerate(strategies):
        y = _TOP + _ROW * line
        parts.append(_text(_LEFT - 8, y + 19, strategy.name, 12, _INK, anchor="end"))
        for place, column in enumerate(columns):
            entry = by_place.get((strategy.name, column.name))
            x = _LEFT + _CELL * place
            parts += _square(x, y, entry) if entry else _empty_square(x, y, strategy, column)
    parts += _key(_LEFT, _TOP + _ROW * len(strategies) + 24)
    return "\n".join([*parts, "</svg>", ""])


def _empty_square(x: float, y: float, strategy: Strategy, column: Column) -> list[str]:
    said = say(strategy, column)
    told = f"{strategy.name}, {column.name}: not run"
    if said.ceiling is None:
        return [f'<rect {_box(x, y)} fill="{_EMPTY}"><title>{escape(told)}</title></rect>']
    told = f"{told}; at most {said.ceiling:.2f}: {said.reason}"
    return [
        f'<rect {_box(x, y)} fill="{_EMPTY}"><title>{escape(told)}</title></rect>',
        _ceiling(x, y, said, _FAINT),
    ]


def _square(x: float, y: float, entry: Entry) -> list[str]:
    chance = 1 / entry.column.num_classes
    share = max(0.0, (entry.test - chance) / (1 - chance))
    ink = "#ffffff" if share > 0.55 else _INK
    parts = [
        f'<rect {_box(x, y)} fill="{_colour(share)}"><title>{escape(_said(entry))}</title></rect>',
        _text(x + _CELL / 2, y + 19, f"{entry.test:.2f}".removeprefix("0"), 12, ink, "middle"),
    ]
    if entry.said.ceiling is not None:
        colour = _WRONG if entry.verdict is Verdict.BROKEN else _INK
        parts.append(_ceiling(x, y, entry.said, colour))
    if entry.verdict in (Verdict.KEPT, Verdict.MISSED):
        fill = ink if entry.verdict is Verdict.KEPT else "none"
        edge = ink if entry.verdict is Verdict.KEPT else _WRONG
        parts.append(
            f'<circle cx="{x + _CELL - 8}" cy="{y + 8}" r="2.8" fill="{fill}" stroke="{edge}" '
            'stroke-width="1.4"/>'
        )
    if len(entry.measured) > 1:
        for each in entry.measured:
            at = x + 5 + (_CELL - 10) * each.test
            parts.append(f'<rect x="{at:.1f}" y="{y + 23}" width="1.4" height="4" fill="{ink}"/>')
    return parts


def _box(x: float, y: float) -> str:
    return f'x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_ROW - 2}" rx="3"'


def _ceiling(x: float, y: float, said: Said, colour: str) -> str:
    assert said.ceiling is not None
    end = x + 5 + (_CELL - 10) * said.ceiling
    dashed = "4.2 4.2" if said.claim is Claim.THEOREM_ON_AVERAGE else "none"
    return (
        f'<line x1="{x + 5}" y1="{y + 4.2}" x2="{end:.1f}" y2="{y + 4.2}" stroke="{colour}" '
        f'stroke-width="2.5" stroke-dasharray="{dashed}"/>'
    )


def _said(entry: Entry) -> str:
    seeds = ", ".join(f"{each.test:.3f}" for each in entry.measured)
    train = ", ".join(f"{each.train:.3f}" for each in entry.measured)
    reason = f"; {entry.said.reason}" if entry.said.reason else ""
    return (
        f"{entry.strategy.name}, {entry.column.name}: test {seeds}; train {train}; "
        f"{entry.verdict.value}{reason}"
    )


def _key(x: float, y: float) -> list[str]:
    parts = []
    for step in range(60):
        colour = _colour(step / 59)
        parts.append(f'<rect x="{x + 2 * step}" y="{y}" width="2.2" height="10" fill="{colour}"/>')
    parts += [
        _text(x, y + 22, "chance", 10, _FAINT),
        _text(x + 120, y + 22, "1", 10, _FAINT, "end"),
        f'<rect x="{x + 150}" y="{y + 3}" width="21" height="2.5" fill="{_INK}"/>',
        _text(x + 176, y + 9, "ceiling, by a theorem", 10, _FAINT),
        (
            f'<path d="M{x + 292} {y + 4.2}h21" stroke="{_INK}" stroke-width="2.5" '
            'stroke-dasharray="4.2 4.2"/>'
        ),
        _text(x + 318, y + 9, "on average over seeds", 10, _FAINT),
        f'<circle cx="{x + 440}" cy="{y + 5}" r="2.8" fill="{_INK}"/>',
        _text(x + 448, y + 9, "predicted 0.90 or more", 10, _FAINT),
        (
            f'<circle cx="{x + 572}" cy="{y + 5}" r="2.8" fill="none" stroke="{_WRONG}" '
            'stroke-width="1.4"/>'
        ),
        _text(x + 580, y + 9, "and missed", 10, _FAINT),
    ]
    return parts


def _text(x: float, y: float, text: str, size: float, colour: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _colour(share: float) -> str:
    mixed = (round(pale + share * (dark - pale)) for pale, dark in zip(_PALE, _DARK, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)
