"""What tells runs apart: settings that name a row, and what makes two runs not comparable."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from videoclf.comparing.finished_run import FinishedRun
from videoclf.data.source import VideoData

#: What does not change a result, or is said elsewhere: where things lie, how a run is called, what
#: follows from other settings.
_IGNORED = (
    "seed",
    "name",
    "run_dir",
    "command",
    "resume",
    "hydra",
    "logger",
    "manifest",
    "subset",
    "data.root",
    "data.annotations",
    "data.num_workers",
    "data.num_classes",
    "data.class_names",
    "choices.logger",
    "choices.recipe",
    "choices.experiment",
    "choices.sweep",
)
#: Parts of the protocol that belong to the network evaluated, not to how it is measured.
_OF_THE_NETWORK = ("ema_decay", "ensemble", "members")
#: Where a config has no such key.
ABSENT = "(not set)"


def settings(run: FinishedRun) -> dict[str, str]:
    """Return what a run was trained and evaluated by, but for its seed: text by dotted key."""
    return {
        key: text
        for key, text in _flat(run.config)
        if not any(f"{key}.".startswith(f"{ignored}.") for ignored in _IGNORED)
    }


def group_by_settings(runs: Sequence[FinishedRun]) -> list[list[FinishedRun]]:
    """Put runs together that differ in nothing but their seeds, in the order of the runs."""
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(json.dumps(settings(run), sort_keys=True), []).append(run)
    return list(groups.values())


def row_names(runs: Sequence[FinishedRun]) -> list[str]:
    """Name each of several runs by the settings in which it differs from the others.

    Where a group was chosen differently (`model=a` and `model=b`) the choice is the name, and the
    keys inside it are named among those only that made the same choice. A key whose values follow
    another's, as `model.num_frames` follows `sampler.num_frames`, is named once.
    """
    every = [settings(run) for run in runs]
    names: list[list[str]] = [[] for _ in runs]
    chosen = {group: [s.get(f"choices.{group}", "") for s in every] for group in _groups(every)}
    for group, choices in chosen.items():
        if len(set(choices)) > 1:
            for name, choice in zip(names, choices, strict=True):
                name.append(choice or f"no {group}")
        for choice in dict.fromkeys(choices):
            places = [place for place, other in enumerate(choices) if other == choice]
            _name_keys(names, every, places, f"{group}.")
    _name_keys(names, every, range(len(runs)), "", without=tuple(f"{g}." for g in chosen))
    plain = [str((run.config.get("choices") or {}).get("model") or run.folder.name) for run in runs]
    return [", ".join(name) or other for name, other in zip(names, plain, strict=True)]


def aspects(run: FinishedRun) -> dict[str, str]:
    """Return all that must be equal for two numbers to be comparable, by name."""
    results, listed = run.results, run.predictions
    data = run.config.get("data") or {}
    found = {"data": str((run.config.get("choices") or {}).get("data") or data.get("_target_"))}
    loading = {field.name for field in dataclasses.fields(VideoData)} | {"_target_", "annotations"}
    found |= {f"data.{k}": _text(v) for k, v in data.items() if k not in loading}
    found["manifest"] = results.manifest_sha256[:12]
    rows = list(zip(listed.paths, listed.starts, listed.ends, listed.labels, strict=True))
    digest = hashlib.sha256(json.dumps(rows, default=list).encode()).hexdigest()
    found["test list"] = f"{len(rows)} videos ({digest[:12]})"
    return found | measured_as(run)


def measured_as(run: FinishedRun) -> dict[str, str]:
    """Return how a run was evaluated: its protocol, by `protocol.<key>`."""
    protocol = {k: v for k, v in run.results.protocol.items() if k not in _OF_THE_NETWORK}
    return {f"protocol.{key}": _text(value) for key, value in protocol.items()}


def split_by_aspects(
    runs: Sequence[FinishedRun],
) -> list[tuple[dict[str, str], list[FinishedRun]]]:
    """Put runs together that are comparable, each part with the aspects in which parts differ."""
    every = [aspects(run) for run in runs]
    names = dict.fromkeys(name for found in every for name in found)
    differing = [name for name in names if len({found.get(name) for found in every}) > 1]
    parts: dict[tuple[str, ...], list[FinishedRun]] = {}
    for run, found in zip(runs, every, strict=True):
        parts.setdefault(tuple(found.get(name, ABSENT) for name in differing), []).append(run)
    return [
        (dict(zip(differing, values, strict=True)), members) for values, members in parts.items()
    ]


def _groups(every: Sequence[Mapping[str, str]]) -> list[str]:
    """Groups of the config that were chosen, the model first; those without keys say nothing."""
    keys = dict.fromkeys(key for found in every for key in found)
    chosen = [key.removeprefix("choices.") for key in keys if key.startswith("choices.")]
    tops = {key.split(".")[0] for key in keys if "." in key}
    return sorted((g for g in chosen if g in tops), key=lambda g: (g != "model", chosen.index(g)))


def _name_keys(
    names: list[list[str]],
    every: Sequence[Mapping[str, str]],
    places: Sequence[int],
    prefix: str,
    without: tuple[str, ...] = (),
) -> None:
    """Add to the names at `places` each key below `prefix` that has several values among them."""
    keys = dict.fromkeys(key for place in places for key in every[place])
    others = {
        tuple(every[place].get(key) for place in places)
        for key in keys
        if not key.startswith(("model.", "choices."))
    }
    seen: set[tuple[str | None, ...]] = set()
    for key in keys:
        if not key.startswith(prefix) or key.startswith((*without, "choices.")):
            continue
        values = tuple(every[place].get(key) for place in places)
        follows = key.startswith("model.") and values in others
        if len(set(values)) > 1 and values not in seen and not follows:
            seen.add(values)
            for place, value in zip(places, values, strict=True):
                names[place].append(f"{_short(key, keys)}={ABSENT if value is None else value}")


def _short(key: str, keys: Mapping[str, None]) -> str:
    """Return the last part of a key, or all of it where that is ambiguous."""
    last = key.rpartition(".")[2]
    alike = sum(other.rpartition(".")[2] == last for other in keys)
    return last if alike == 1 else key


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: Any) -> str:
    """Return a value as one would type it in an override."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str).replace(", ", ",").replace('"', "")
