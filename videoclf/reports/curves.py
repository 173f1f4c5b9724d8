"""Learning curves: which of the logged metrics share a picture, and how they are told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from videoclf.reports.charts import Series, line_chart
from videoclf.reports.wording import TIMES, MetricName, parse_metric, plural

#: Drawn first, in this order; all others follow by name.
FIRST_QUANTITIES = ("loss", "top1", "map", "top5", "mean_class", "learning_rate")
_NOT_CURVES = ("epoch", "time_seconds")
_COLOURS = {"train": ("train", "extra-1", "extra-2"), "val": ("val", "extra-3", "extra-4")}
_OTHER_COLOURS = ("val", "extra-1", "extra-2", "extra-3", "extra-4")
_SHARES = ("top", "map", "mean_class", "accuracy", "share", "precision", "recall")


@dataclass(frozen=True)
class Curves:
    """Charts to show at once, and those to unfold."""

    main: tuple[Markup, ...]
    more: tuple[Markup, ...]


def learning_curves(
    metrics: Mapping[str, Sequence[tuple[int, float]]], num_shown: int = 4
) -> Curves:
    """Draw one chart a quantity, training and validation together.

    Args:
        metrics: (step, value) by name, as `read_metrics` gives them.
        num_shown: how many charts are shown at once.
    """
    groups: dict[str, list[tuple[str, MetricName]]] = {}
    for name, points in metrics.items():
        parts = parse_metric(name)
        known = parts.over == "listed" or parts.subset == "test"  # the one has its plain name too
        if name not in _NOT_CURVES and not known and points:
            groups.setdefault(_group(name, parts), []).append((name, parts))
    epochs = [int(value) for _, value in metrics.get("epoch", ())]
    x_label = f"steps, {plural(max(epochs) + 1, 'epoch')}" if epochs else "steps"
    charts = [_chart(key, groups[key], metrics, x_label) for key in sorted(groups, key=_order)]
    return Curves(tuple(charts[:num_shown]), tuple(charts[num_shown:]))


def _group(name: str, parts: MetricName) -> str:
    """Metrics of train and val belong together, and so do learning rates of parameter groups."""
    if name.startswith(("lr-", "lr/", "learning_rate")):
        return "learning_rate"
    if parts.subset in ("train", "val", ""):
        return parts.quantity
    return parts.subset


def _order(quantity: str) -> tuple[int, str]:
    known = quantity in FIRST_QUANTITIES
    return (FIRST_QUANTITIES.index(quantity) if known else len(FIRST_QUANTITIES), quantity)


def _chart(
    key: str,
    group: list[tuple[str, MetricName]],
    metrics: Mapping[str, Sequence[tuple[int, float]]],
    x_label: str,
) -> Markup:
    free = {key: list(colours) for key, colours in _COLOURS.items()}
    others = list(_OTHER_COLOURS)
    series = []
    for name, parts in sorted(group, key=lambda item: (item[1].subset, item[0])):
        colours = free.get(parts.subset, others)
        colour = colours.pop(0) if len(colours) > 1 else colours[0]
        points = [(float(step), value) for step, value in metrics[name]]
        noisy = parts.subset == "train"
        series.append(
            Series(_label(parts, len(group) == 1), points, colour, _note(parts, points), noisy)
        )
    first = group[0][1]
    title = first.title if key == first.quantity else key.replace("_", " ")
    unit_range = first.quantity.startswith(_SHARES) or first.quantity.endswith(_SHARES)
    inside = all(0 <= value <= 1 for line in series for _, value in line.points)
    return line_chart(title, series, x_label, unit_range and inside)


def _label(parts: MetricName, alone: bool) -> str:
    """Say which line it is; where there is one only, the title has said it."""
    if parts.subset not in ("train", "val"):
        return "" if alone else f"{parts.subset} {parts.title}".strip()
    level = f" {parts.level}s" if parts.level else ""
    views = f" {parts.views[0]}{TIMES}{parts.views[1]}" if parts.views else ""
    over = ", readable ones" if parts.over == "available" else ""
    return f"{parts.subset}{level}{views}{over}"


def _note(parts: MetricName, points: Sequence[tuple[float, float]]) -> str:
    """Say the best validated value; a training value at its best would only be luck."""
    finite = [value for _, value in points if value == value]
    if parts.subset != "val" or not finite:
        return ""
    lower_is_better = parts.quantity.endswith("loss")
    return f"best {min(finite) if lower_is_better else max(finite):.3f}"
