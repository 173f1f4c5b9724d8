"""Pictures drawn by hand: line charts as HTML with inline SVG, a matrix as a PNG.

Lines live in an SVG that stretches (strokes keep their width), words in HTML around it: so a
chart fills a phone or a wide screen, and its text stays the size of text. Colours come from the
page's style sheet.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from videoclf.reports.filmstrip import data_address

#: More points than pixels only make a page heavy.
MAX_POINTS = 300
#: Up to so many points are marked one by one.
MAX_DOTS = 30
#: A noisy line of so many points gets a smooth one drawn over it.
SMOOTH_FROM_POINTS = 60


@dataclass(frozen=True)
class Series:
    """One line: a label, (x, y) points ascending in x, and its colour's name in the style sheet.

    `note` stands behind the label in the legend. A `noisy` line of many points is drawn faintly,
    with its running mean over it.
    """

    label: str
    points: Sequence[tuple[float, float]]
    colour: str
    note: str = ""
    noisy: bool = False


def line_chart(title: str, series: Sequence[Series], x_label: str, unit_range: bool) -> Markup:
    """Return a chart as a `<figure>`.

    Args:
        title: stands above, and names the picture to a screen reader.
        series: the lines; values that are not finite are left out and said to be.
        x_label: what the horizontal axis counts.
        unit_range: the vertical axis shows [0, 1] whatever the values.
    """
    finite = [
        replace(line, points=[p for p in line.points if math.isfinite(p[1])]) for line in series
    ]
    xs = [x for line in finite for x, _ in line.points]
    ys = [y for line in finite for _, y in line.points]
    lost = sum(len(line.points) for line in series) - len(xs)
    y_ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if unit_range else _value_ticks(ys)
    x_range = (0.0, max(xs, default=1.0) or 1.0)
    y_range = (y_ticks[0], y_ticks[-1])
    lines = Markup("").join(_line(line, x_range, y_range) for line in finite)
    y_places = [(_place(tick, y_range), _tick_text(tick, y_ticks)) for tick in y_ticks]
    x_places = [
        (_place(tick, x_range), f"{tick:,.0f}")
        for tick in ticks(*x_range, 5)
        if tick <= x_range[1] and tick == round(tick)
    ]
    return Markup(
        '<figure class="chart"><figcaption><h3>{title}</h3><ul class="legend">{legend}</ul>'
        '</figcaption><div class="plot"><div class="y-axis" aria-hidden="true">{y}</div>'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{aria}">'
        '{grid}{lines}</svg><div class="x-axis" aria-hidden="true">{x}</div>'
        '<p class="x-label">{x_label}{lost}</p></div></figure>'
    ).format(
        title=title,
        legend=Markup("").join(_legend_entry(line) for line in finite if line.label),
        y=Markup("").join(_axis_word("bottom", place, text) for place, text in y_places),
        x=Markup("").join(_axis_word("left", place, text) for place, text in x_places),
        grid=Markup("").join(_grid_line(place) for place, _ in y_places),
        lines=lines,
        aria=f"{title}: " + "; ".join(f"{s.label} {s.note}".strip() for s in finite),
        x_label=x_label,
        lost=f" · {lost} values were not finite" if lost else "",
    )


@dataclass(frozen=True)
class Column:
    """One column of a diagram: where it stands in [0, 1], how high, how strong, in words."""

    low: float
    high: float
    value: float
    strength: float
    words: str


def reliability_diagram(title: str, columns: Sequence[Column], x_label: str) -> Markup:
    """Return columns over [0, 1] x [0, 1] and the diagonal that they should reach.

    Args:
        title: stands above, and names the picture to a screen reader.
        columns: of which `strength`, in [0, 1], is the opacity: few videos, little evidence.
        x_label: what the horizontal axis counts.
    """
    marks = [0.0, 0.25, 0.5, 0.75, 1.0]
    unit = (0.0, 1.0)
    drawn = Markup("").join(
        Markup(
            '<rect class="column" x="{:.4g}" y="{:.4g}" width="{:.4g}" height="{:.4g}" '
            'fill-opacity="{:.3g}"><title>{}</title></rect>'
        ).format(
            100 * column.low + 0.3,
            100 - 100 * column.value,
            100 * (column.high - column.low) - 0.6,
            100 * column.value,
            0.25 + 0.75 * column.strength,
            column.words,
        )
        for column in columns
    )
    return Markup(
        '<figure class="chart"><figcaption><h3>{title}</h3></figcaption><div class="plot">'
        '<div class="y-axis" aria-hidden="true">{y}</div>'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{aria}">'
        '{grid}{columns}<path class="diagonal" d="M0 100L100 0"/></svg>'
        '<div class="x-axis" aria-hidden="true">{x}</div><p class="x-label">{x_label}</p>'
        "</div></figure>"
    ).format(
        title=title,
        y=Markup("").join(_axis_word("bottom", _place(m, unit), f"{m:g}") for m in marks),
        x=Markup("").join(_axis_word("left", _place(m, unit), f"{m:g}") for m in marks),
        grid=Markup("").join(_grid_line(_place(m, unit)) for m in marks),
        columns=drawn,
        aria=f"{title}: " + "; ".join(column.words for column in columns),
        x_label=x_label,
    )


def ticks(low: float, high: float, about: int) -> list[float]:
    """Return round numbers from at most `low` to at least `high`, around `about` of them.

    `ticks(0, 1234, 5)` is 0, 500, 1000, 1500.
    """
    span = (high - low) or abs(high) or 1.0
    raw = span / max(1, about - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil((low + span) / step - 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def matrix_png(
    shares: np.ndarray,
    hit: tuple[int, int, int],
    miss: tuple[int, int, int],
    min_pixels: int = 1200,
) -> str:
    """Return a matrix as the `data:` address of a PNG, one square a cell.

    The value is the colour's opacity, so that the picture suits any background. Off the diagonal
    it follows the square root, and no cell above 0 is fainter than a half: one confusion among
    fifty videos must not vanish.

    Args:
        shares: float (K, K), each in [0, 1].
        hit: red, green, blue of the diagonal, 0 to 255.
        miss: the same, of everything else.
        min_pixels: small matrices are enlarged, by a whole factor, to at least this size.
    """
    size = len(shares)
    diagonal = np.eye(size, dtype=bool)
    opacity = np.where(diagonal, 0.15 + 0.85 * shares, 0.5 + 0.5 * np.sqrt(shares))
    picture = np.empty((size, size, 4), dtype=np.uint8)
    picture[..., :3] = np.where(diagonal[..., None], hit, miss)
    picture[..., 3] = np.where(shares > 0, opacity * 255, 0)
    factor = -(-min_pixels // max(1, size))
    buffer = io.BytesIO()
    enlarged = Image.fromarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))
    enlarged.save(buffer, "PNG", optimize=True)
    return data_address(buffer.getvalue(), "image/png")


def _line(line: Series, x_range: tuple[float, float], y_range: tuple[float, float]) -> Markup:
    points = _thin(line.points)
    placed = [(_place(x, x_range), 100 - _place(y, y_range)) for x, y in points]
    if not placed:
        return Markup("")
    if line.noisy and len(placed) >= SMOOTH_FROM_POINTS:
        faint = _path(placed, f"line faint {line.colour}")
        return faint + _path(_smooth(placed), f"line {line.colour}")
    dotted = placed if len(placed) <= MAX_DOTS else []
    dots = Markup("").join(_dot(x, y, line.colour) for x, y in dotted)
    return _path(placed, f"line {line.colour}") + dots


def _thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Average neighbours until at most `MAX_POINTS` are left; the last point stays."""
    if len(points) <= MAX_POINTS:
        return list(points)
    size = -(-len(points) // MAX_POINTS)
    groups = [points[k : k + size] for k in range(0, len(points), size)]
    return [(g[-1][0], sum(y for _, y in g) / len(g)) for g in groups]


def _smooth(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Average each point with its neighbours, about a thirtieth of all; nothing lags behind."""
    reach = max(1, len(points) // 60)
    sums = np.cumsum([0.0] + [y for _, y in points])
    places = np.arange(len(points))
    # The window shrinks towards both ends, so that it stays centred.
    near = np.minimum(reach, np.minimum(places, len(points) - 1 - places))
    means = (sums[places + near + 1] - sums[places - near]) / (2 * near + 1)
    return [(x, float(mean)) for (x, _), mean in zip(points, means, strict=True)]


def _path(points: Sequence[tuple[float, float]], classes: str) -> Markup:
    words = " ".join(f"{x:.4g},{y:.4g}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(classes, words)


def _dot(x: float, y: float, colour: str) -> Markup:
    """A line of no length with round ends: a circle would stretch with the picture."""
    return Markup('<path class="dot {0}" d="M{1:.4g} {2:.4g}h0"/>').format(colour, x, y)


def _grid_line(place: float) -> Markup:
    return Markup('<path class="grid" d="M0 {0:.4g}H100"/>').format(100 - place)


def _axis_word(side: str, place: float, text: str) -> Markup:
    return Markup('<span style="{}:{:.4g}%">{}</span>').format(Markup(side), place, text)


def _legend_entry(line: Series) -> Markup:
    note = Markup(' <span class="note">{}</span>').format(line.note) if line.note else ""
    return Markup('<li class="{}"><i></i>{}{}</li>').format(line.colour, escape(line.label), note)


def _place(value: float, bounds: tuple[float, float]) -> float:
    """Return where a value lies between bounds, in per cent; in the middle if they are equal."""
    low, high = bounds
    return 50.0 if high == low else 100 * (value - low) / (high - low)


def _value_ticks(values: Sequence[float]) -> list[float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    # Quantities without a sign start at 0, so that heights can be compared.
    return ticks(min(low, 0.0), max(high, 0.0), 5)


def _tick_text(tick: float, all_ticks: Sequence[float]) -> str:
    step = all_ticks[1] - all_ticks[0]
    if step < 1e-3 or max(abs(t) for t in all_ticks) >= 1e6:
        return "0" if tick == 0 else f"{tick:.1e}".replace("e-0", "e-").replace("e+0", "e")
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += abs(step * 10**digits - round(step * 10**digits)) > 1e-6
    return f"{tick:,.{digits}f}"
