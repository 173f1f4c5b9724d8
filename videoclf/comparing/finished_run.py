"""A finished run as its folder tells of it: settings, results, every prediction."""

from __future__ import annotations

import csv
import itertools
import statistics
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from videoclf import checkpoint_file
from videoclf.cache import cache_folder
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError, DataError
from videoclf.reports.predictions import Predictions, read_predictions
from videoclf.reports.results import Results
from videoclf.reports.run_folder import read_config

#: What an evaluation settles anew; all else it takes from the checkpoint's training.
_EVALUATED = ("data", "sampler", "transform", "views", "manifest", "subset")


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedRun:
    """One run or evaluation.

    Args:
        folder: as the user named it.
        config: resolved; that of an evaluation is its checkpoint's, but for what it settled anew.
        results: numbers, counts, protocol, timing.
        predictions: of each listed video.
    """

    folder: Path
    config: Mapping[str, Any]
    results: Results
    predictions: Predictions

    @property
    def seed(self) -> int | None:
        """The seed of its training."""
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) else None


@dataclass(frozen=True)
class FoundFolders:
    """Run folders that words name.

    Args:
        runs: each once, in the order of the words.
        unfinished: folders of runs without results, below a folder that was named.
    """

    runs: tuple[Path, ...]
    unfinished: tuple[Path, ...]


def find_run_folders(places: Iterable[Path]) -> FoundFolders:
    """Take run folders as they are, and look for runs inside other folders, two levels down.

    Raises:
        ConfigError: a place is missing, is no folder, or holds no run.
    """
    runs: dict[Path, Path] = {}
    unfinished: list[Path] = []
    for place in places:
        if not place.is_dir():
            what = "is a file" if place.is_file() else "does not exist"
            raise ConfigError(f"{place} {what}; name run folders: runs/<name>/<date>_<time>")
        found = [place] if _is_run(place) else _runs_below(place)
        if not found:
            raise ConfigError(
                f"{place} holds no run: neither it nor a folder in it has a config.yaml; name run "
                "folders: runs/<name>/<date>_<time>"
            )
        for folder in found:
            if folder != place and not (folder / "results.json").exists():
                unfinished.append(folder)
            else:
                runs.setdefault(folder.resolve(), folder)
    return FoundFolders(tuple(runs.values()), tuple(unfinished))


def read_run(folder: Path) -> FinishedRun:
    """Read a finished run.

    Raises:
        DataError: it is not finished, or a file of it is missing or damaged.
        CheckpointError: the checkpoint of an evaluation is damaged.
    """
    if not (folder / "results.json").exists():
        raise DataError(
            f"{folder} is not finished: it has no results.json; go on with it by "
            f"python train.py resume={folder}, or leave it out"
        )
    results = Results.load(folder / "results.json")
    predictions = read_predictions(folder / "predictions.parquet")
    if predictions.manifest_sha256 != results.manifest_sha256:
        raise DataError(
            f"results.json and predictions.parquet of {folder} tell of different data (manifests "
            f"{results.manifest_sha256[:12]} and {predictions.manifest_sha256[:12]}); evaluate "
            "the run again"
        )
    if len(predictions) != results.counts["expected"]:
        raise DataError(
            f"results.json of {folder} counts {results.counts['expected']} videos, its "
            f"predictions.parquet has {len(predictions)}; evaluate the run again"
        )
    return FinishedRun(
        folder=folder, config=_config(folder), results=results, predictions=predictions
    )


def video_groups(run: FinishedRun) -> list[Hashable] | None:
    """Return the group of each listed video (None where it has none), or None if unknown.

    Predictions of earlier versions do not hold groups; the manifest does, where the cache still
    has it.
    """
    if run.predictions.groups is not None:
        return list(run.predictions.groups)
    known = run.config.get("manifest") or {}
    places = [Path(str(known.get("path"))), cache_folder() / "manifests"]
    places[1] /= f"{run.results.manifest_sha256}.arrow"
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return None
    manifest = Manifest.open(file)
    if manifest.sha256 != run.results.manifest_sha256:
        return None
    columns = (manifest.table[name].to_pylist() for name in ("path", "start", "end", "group"))
    groups = {(path, start, end): group for path, start, end, group in zip(*columns, strict=True)}
    listed = run.predictions
    keys = zip(listed.paths, listed.starts, listed.ends, strict=True)
    return [groups.get(key) for key in keys]


def step_seconds(folder: Path) -> float | None:
    """Return the median time of a training step as it was lived, waiting for data included.

    From each row of metrics.csv to the next that is some steps further: validations lie between
    rows of one step, and the first row, which starting up precedes, is no end of an interval.
    None where too little was logged.
    """
    path = folder / "metrics.csv"
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row.get("step"), row.get("time_seconds")) for row in csv.DictReader(file)]
    try:
        times = [(int(step), float(seconds)) for step, seconds in rows if step and seconds]
    except ValueError as error:
        raise DataError(f"cannot read the metrics {path}: {error}; leave the run out") from error
    intervals = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in itertools.pairwise(times)
        if later[0] > earlier[0]
    ]
    return statistics.median(intervals) if intervals else None


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("config.yaml", "results.json"))


def _runs_below(place: Path) -> Sequence[Path]:
    files = [*place.glob("*/config.yaml"), *place.glob("*/*/config.yaml")]
    return sorted(file.parent for file in files)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    if not path.exists():
        raise DataError(f"{folder} has no config.yaml: its settings are unknown; leave it out")
    try:
        config = read_config(path)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"cannot read the config {path}: {problem}; leave the run out") from error
    if not config:
        raise DataError(f"the config {path} has no settings; leave the run out")
    file = config.get("checkpoint_file")
    if not file or config.get("members") or not Path(str(file)).exists():
        return config
    trained: dict[str, Any] = checkpoint_file.describe(Path(str(file)))["config"]
    anew = {key: config[key] for key in _EVALUATED if key in config}
    said = {k: v for k, v in config.get("choices", {}).items() if v != "checkpoint"}
    if Path(str(file)).name != "best.ckpt":  # which a run's own results are of
        anew["checkpoint_file"] = Path(str(file)).name
    return {**trained, **anew, "choices": {**trained.get("choices", {}), **said}}
