"""Names and numbers as people read them: `test/video_top1_10x3` is "top-1" over "10 clips x 3"."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from videoclf.reports.results import Results

TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"

_VIEWS = re.compile(r"_(?:(\d+)x(\d+)(?:@(\d+))?|mixed)(?=_|$)")
_WORDS = r"_(available|listed|logits|probabilities|max|best\d+|ends|without_end|centres)"
_SUFFIX = re.compile(rf"{_WORDS}$")
_AFTER_VIEWS = re.compile(rf"{_WORDS}(?=_)")
_POSITIONS = {
    "ends": "clips from the start to the end",
    "without_end": "clips from the start, the end left out",
    "centres": "clips in the middles of equal parts",
}
_AVERAGES = {
    "probabilities": "probabilities averaged",
    "logits": "logits averaged",
    "max": "highest probability of each class",
}
_QUANTITIES = {
    "map": "mAP",
    "mean_class": "mean class accuracy",
    "ece": "calibration error",
    "learning_rate": "learning rate",
    "lr": "learning rate",
}
#: What a headline is chosen from, best first; whatever else there is comes after, in its order.
#: Where there is a mAP the data are multi-label, and it says more than top-1; an action is a verb
#: and a noun.
_HEADLINES = ("map", "mean_average_precision", "action_top1", "top1", "accuracy", "top5")


@dataclass(frozen=True)
class MetricName:
    """The parts of `<subset>/<clip|video>_<quantity>[_NxM[@P]][_ends][_logits][_available]`.

    Absent parts are "" or None. `positions` are those of the clips, `crop_pixels` is P;
    `ensemble` is how several networks were made one, such as `average_1_1.5`; `over` is
    "available" where only videos that could be evaluated count, "listed" where a name says so,
    else "".
    """

    subset: str
    level: str
    quantity: str
    views: tuple[int, int] | None
    average: str
    over: str
    positions: str = ""
    crop_pixels: int | None = None
    ensemble: str = ""

    @property
    def title(self) -> str:
        """The quantity in words: "top-1", "mAP", "mean class accuracy"."""
        if top := re.fullmatch(r"(?:(verb|noun|action)_)?top_?(\d+)", self.quantity):
            return f"{f'{top[1]} ' if top[1] else ''}top-{top[2]}"
        return _QUANTITIES.get(self.quantity, self.quantity.replace("_", " "))


def inference_options(results: Results) -> dict[str, Any]:
    """Return how the network was run, without what that changed: that is said in a sentence."""
    said = ("compared_videos", "largest_change", "mean_change", "top1_changed")
    return {name: value for name, value in results.inference.items() if name not in said}


def inference_changes(results: Results) -> str:
    """Say how far options of the evaluation moved probabilities; "" where none could."""
    found = results.inference
    count = found.get("compared_videos")
    if count is None:
        return ""
    options = ", ".join(
        f"{name}={'true' if name.endswith('fold_batch_norm') else value}"
        for name, value in found.items()
        if "." in name
    )
    if not count:
        return f"{options}: not compared with the plain network"
    return (
        f"{options}, against the plain network on {plural(int(count), 'video')}: probabilities "
        f"moved by at most {found['largest_change']:.2g}, {found['mean_change']:.2g} on average; "
        f"{plural(int(found['top1_changed']), 'first answer')} changed"
    )


def parse_metric(name: str) -> MetricName:
    """Split a metric's name; a name of another form is a quantity as a whole."""
    subset, _, rest = name.rpartition("/")
    suffixes = set()
    while suffix := _SUFFIX.search(rest):
        suffixes.add(suffix[1])
        rest = rest[: suffix.start()]
    views = _VIEWS.search(rest)
    rest, ensemble = (rest[: views.start()], rest[views.end() :]) if views else (rest, "")
    while known := _AFTER_VIEWS.match(ensemble):
        suffixes.add(known[1])
        ensemble = ensemble[known.end() :]
    level = next((word for word in ("clip", "video") if rest.startswith(f"{word}_")), "")
    return MetricName(
        subset=subset,
        level=level,
        quantity=rest[len(level) + 1 :] if level else rest,
        views=(int(views[1]), int(views[2])) if views and views[1] else None,
        average=next((s for s in suffixes if s in _AVERAGES or s.startswith("best")), ""),
        over=next(iter(suffixes & {"available", "listed"}), ""),
        positions=next(iter(suffixes & set(_POSITIONS)), ""),
        crop_pixels=int(views[3]) if views and views[3] else None,
        ensemble=ensemble.removeprefix("_"),
    )


def headline_metric(results: Results) -> str | None:
    """Return the name of the number to show first: the video-level one of the subset evaluated."""

    def rank(item: tuple[int, str]) -> tuple[bool, bool, bool, int, int]:
        position, name = item
        parts = parse_metric(name)
        known = parts.quantity in _HEADLINES
        return (
            parts.subset != results.protocol.get("subset", "test"),
            parts.level != "video",
            bool(parts.over),
            _HEADLINES.index(parts.quantity) if known else len(_HEADLINES),
            position,
        )

    ranked = sorted(enumerate(results.metrics), key=rank)
    return ranked[0][1] if ranked else None


def views_in_words(protocol: Mapping[str, Any]) -> str:
    """Return "10 clips × 3 crops, probabilities averaged", as far as the protocol says."""
    parts = []
    clips, crops = protocol.get("num_clips"), protocol.get("num_crops")
    if clips is not None and crops is not None:
        parts.append(f"{plural(int(clips), 'clip')} {TIMES} {plural(int(crops), 'crop')}")
        if protocol.get("crop_pixels"):
            parts[-1] += f" of {protocol['crop_pixels']} pixels"
        if protocol.get("positions") and int(clips) > 1:
            parts.append(_POSITIONS[protocol["positions"]])
        if protocol.get("average") and int(clips) * int(crops) > 1:
            parts.append(_average_in_words(protocol))
    if protocol.get("ema_decay") is not None:
        parts.append("EMA weights")
    return ", ".join(parts)


def _average_in_words(protocol: Mapping[str, Any]) -> str:
    average = str(protocol["average"])
    if average.startswith(("best", "top_k")):
        k = average.removeprefix("best") if average != "top_k" else protocol.get("top_k")
        return f"mean of the {k} highest probabilities of each class"
    return _AVERAGES.get(average, f"{average} averaged")


def headline_in_words(results: Results, name: str) -> str:
    """Return what stands after the number: "top-1 over 400 listed videos, 10 clips × ..."."""
    parts = parse_metric(name)
    counted = results.counts["evaluated" if parts.over == "available" else "expected"]
    videos = plural(counted, f"{parts.over or 'listed'} video")
    words = f"{parts.title} over {'single clips' if parts.level == 'clip' else videos}"
    protocol = dict(results.protocol)
    if parts.views:
        protocol |= {"num_clips": parts.views[0], "num_crops": parts.views[1]}
    if parts.average:
        protocol["average"] = parts.average
    views = views_in_words(protocol)
    version = protocol.get("label_version")
    return ", ".join(
        [words, *([views] if views else []), *([f"labels {version}"] if version else [])]
    )


def conditions_in_words(name: str, protocol: Mapping[str, Any]) -> str:
    """Return what tells a number from its neighbours: "val videos, 1 clip × 1 crop"."""
    parts = parse_metric(name)
    over = f"{parts.over} " if parts.over else ""
    known = parts.subset in ("train", "val", "test") and parts.level
    words = [f"{parts.subset} {over}{parts.level}s"] if known else []
    if parts.views:
        views: dict[str, Any] = {"num_clips": parts.views[0], "num_crops": parts.views[1]}
        views |= {"crop_pixels": parts.crop_pixels, "positions": parts.positions}
        words.append(views_in_words(views | {"average": parts.average}))
    elif parts.level == "video" and parts.subset == protocol.get("subset"):
        words.append(views_in_words({k: protocol.get(k) for k in ("num_clips", "num_crops")}))
    return ", ".join(word for word in words if word)


def other_metrics(results: Results) -> list[str]:
    """Return the names beside the headline's, without those that repeat a number by its alias.

    Where videos are missing, `..._listed` stands in the results beside the plain name it equals.
    """
    shown = headline_metric(results)
    plain = {name.removesuffix("_listed") for name in results.metrics if name.endswith("_listed")}
    aliases = {f"{name}_listed" for name in plain if name in results.metrics}
    return [name for name in results.metrics if name != shown and name not in aliases]


def share(value: float | None, digits: int = 3) -> str:
    """Return a number in [0, 1] as "0.943", or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Return a share as "4.2 %", or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{100 * value:.1f} %"


def seconds_in_words(seconds: float | None) -> str:
    """Return "42.3 s", "1 min 35 s" or "1 h 2 min", or a dash where there is none."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def number(value: float | None) -> str:
    """Return "1,234" or "12.3", or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.1f}"


def plural(count: int, noun: str) -> str:
    """Return "1 clip" or "1,200 clips"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
