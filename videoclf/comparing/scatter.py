"""A scatter of rows, accuracy against a cost, in the shape of `videoclf.reports.charts`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from videoclf.reports.charts import ticks

#: Costs that differ by more than this factor are drawn on a logarithmic axis.
_LOG_FROM = 5.0
#: Room beside the outermost dots, as a share of the axis.
_MARGIN = 0.08


@dataclass(frozen=True)
class Dot:
    """One row: its name, its colour's name in the style sheet, where it lies, its interval."""

    label: str
    colour: str
    x: float
    y: float
    interval: tuple[float, float] | None


def scatter(title: str, dots: Sequence[Dot], x_label: str) -> Markup:
    """Return a chart as a `<figure>`: y in [0, 1], intervals as vertical lines.

    Args:
        title: stands above, and names the picture to a screen reader.
        dots: at least one; x above 0.
        x_label: what the horizontal axis counts.
    """
    ends = [end for dot in dots for end in (dot.y, *(dot.interval or ()))]
    y_ticks = [tick for tick in ticks(min(ends), max(ends), 5) if -1e-9 <= tick <= 1 + 1e-9]
    y_range = (min(y_ticks[0], *ends), max(y_ticks[-1], *ends))
    costs = [dot.x for dot in dots]
    logarithmic = max(costs) > _LOG_FROM * min(costs)
    scale = math.log10 if logarithmic else float
    low, high = scale(min(costs)), scale(max(costs))
    room = _MARGIN * (high - low) or _MARGIN * (abs(high) or 1.0)
    x_range = (low - room, high + room)
    x_ticks = (
        _log_ticks(min(costs), max(costs)) if logarithmic else ticks(min(costs), max(costs), 5)
    )
    placed = [(_place(scale(tick), x_range), f"{tick:,g}") for tick in x_ticks]
    marks = [_mark(dot, _place(scale(dot.x), x_range), y_range) for dot in dots]
    y_places = [(_place(tick, y_range), f"{tick:g}") for tick in y_ticks]
    return Markup(
        '<figure class="chart scatter"><figcaption><h3>{title}</h3><ul class="legend">{legend}</ul>'
        '</figcaption><div class="plot"><div class="y-axis" aria-hidden="true">{y}</div>'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{aria}">'
        '{grid}{marks}</svg><div class="x-axis" aria-hidden="true">{x}</div>'
        '<p class="x-label">{x_label}</p></div></figure>'
    ).format(
        title=title,
        legend=Markup("").join(
            Markup('<li class="{}"><i></i><bdi>{}</bdi></li>').format(dot.colour, dot.label)
            for dot in dots
        ),
        y=Markup("").join(_word("bottom", place, text) for place, text in y_places),
        x=Markup("").join(_word("left", p, text) for p, text in placed if 0 <= p <= 100),
        grid=Markup("").join(
            Markup('<path class="grid" d="M0 {0:.4g}H100"/>').format(100 - p) for p, _ in y_places
        ),
        marks=Markup("").join(marks),
        aria=f"{title}: " + "; ".join(f"{dot.label} {dot.y:.3f} at {dot.x:g}" for dot in dots),
        x_label=f"{x_label}{', logarithmic' if logarithmic else ''}",
    )


def _mark(dot: Dot, left: float, y_range: tuple[float, float]) -> Markup:
    """A dot is a line of no length with round ends: a circle would stretch with the picture."""
    line = Markup("")
    if dot.interval is not None:
        low, high = (100 - _place(end, y_range) for end in dot.interval)
        line = Markup('<path class="whisker {}" d="M{:.4g} {:.4g}V{:.4g}"/>').format(
            dot.colour, left, low, high
        )
    return line + Markup('<path class="dot {}" d="M{:.4g} {:.4g}h0"/>').format(
        dot.colour, left, 100 - _place(dot.y, y_range)
    )


def _word(side: str, place: float, text: str) -> Markup:
    return Markup('<span style="{}:{:.4g}%">{}</span>').format(side, place, text)


def _place(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return 50.0 if high == low else 100 * (value - low) / (high - low)


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten from around `low` to around `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1.0, 2.0, 5.0) if len(powers) <= 3 else (1.0,)
    return [step * 10.0**power for power in powers for step in steps]
