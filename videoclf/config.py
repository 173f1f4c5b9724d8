"""From overrides to a plain, checked config: the part of the library that knows Hydra.

The composing process imports no torch. It validates the data settings, builds the manifest,
writes the number and names of the classes into the config, resolves everything once and writes
`config.yaml`; ranks read that file and nothing else.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from videoclf.build import build, nearest
from videoclf.cache import atomic_write
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError
from videoclf.outer_launcher import Place, on_several_machines
from videoclf.reports.redaction import redact, redact_command
from videoclf.trials import few_videos
from videoclf.types import SUBSETS

CONF = next(
    folder
    for folder in (Path(__file__).parents[1] / "conf", Path(__file__).parent / "conf")
    if folder.is_dir()
)
#: Tasks by how many labels a video may have; any other task reads them as it likes, or not at all.
ONE_LABEL_TASK = "videoclf.tasks.classification.VideoClassification"
SEVERAL_LABELS_TASK = "videoclf.tasks.multi_label.MultiLabelClassification"
#: Settings that name files or folders, as seen from where the command is typed.
_PATHS = (
    *("data.annotations", "data.flow_folder", "head.feature_cache", "init_from"),
    "model.feature_cache",
)


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """Return arguments as Hydra has to read them.

    `model.weights=` is short for the key `weights`: a model's YAML holds the arguments of its
    class, and no class knows where weights come from. A folder or a name may look like a number,
    as in `run_dir=$SLURM_JOB_ID`, and is text all the same. Python's parser of arguments takes no
    overrides on both sides of `-m`.
    """
    own = [re.sub(r"^(\+{0,2})model\.weights(_\w+)?=", r"\1weights\2=", a) for a in arguments]
    own = [re.sub(r"^(run_dir|resume|name)=([\d.][\w.+-]*)$", r"\1='\2'", a) for a in own]
    flags = [each for each in own if each in ("-m", "--multirun")]
    others = [each for each in own if each not in flags]
    return [*others[:1], *flags, *others[1:]]


def plain(node: DictConfig) -> dict[str, Any]:
    """Resolve a config to plain dicts and lists.

    Raises:
        ConfigError: a value is still missing.
    """
    missing = sorted(OmegaConf.missing_keys(node))
    if missing:
        raise ConfigError(f"{missing[0]} is not set; give it as {missing[0]}=...")
    container = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def own_settings(config: DictConfig) -> dict[str, Any]:
    """Return a config's keys that belong to no group, and its trainer."""
    groups = {path.name for path in CONF.iterdir() if path.is_dir()} - {"trainer"}
    return plain(OmegaConf.masked_copy(config, [str(key) for key in config if key not in groups]))


def choices() -> dict[str, str]:
    """Return what was chosen of each group, such as {"model": "slow_fusion"}."""
    chosen = HydraConfig.get().runtime.choices
    return {
        str(group): str(option)
        for group, option in chosen.items()
        if option and not str(group).startswith("hydra")
    }


def changes_beside(key: str) -> dict[str, Any]:
    """Return what else the command line of a job sets, by key; of a group, the chosen option."""
    given = values_by_key(HydraConfig.get().overrides.task)
    return {name: value for name, value in given.items() if name != key}


def values_by_key(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the values of overrides as typed, such as `seed=1`, by key.

    Raises:
        ConfigError: one is no override.
    """
    parser = OverridesParser.create()
    try:
        parsed = [parser.parse_override(text) for text in overrides]
    except HydraException as error:
        raise ConfigError(
            f"cannot read {' '.join(overrides)} as settings ({' '.join(str(error).split())}); "
            "write key=value"
        ) from error
    return {override.key_or_group: override.value() for override in parsed}


def in_sweep() -> bool:
    """Return whether this job is one of several, started with -m."""
    return HydraConfig.get().mode is RunMode.MULTIRUN


def task_overrides() -> list[str]:
    """Return the overrides of this job as typed, `model=...` and the like, without Hydra's own."""
    return list(HydraConfig.get().overrides.task)


def command_line() -> str:
    """Return the command as a user would type it, without the values of secrets."""
    return redact_command(shlex.join(["python", *sys.orig_argv[1:]]))


def prepare(
    config: DictConfig,
    folder: Path,
    *,
    ranks: int,
    subsets: Sequence[str],
    place: Place | None = None,
) -> dict[str, Any]:
    """Check the data, build the manifest and resolve a config for the run in `folder`.

    Args:
        config: as composed.
        folder: of the run.
        ranks: how many processes, on all machines.
        subsets: parts of the data that the run reads.
        place: among processes that another launcher has started.

    Raises:
        ConfigError: a wrong value or annotation, or one of the subsets is empty.
        DataError: the data root or files are missing.
    """
    for subset in subsets:
        if subset not in SUBSETS:
            raise ConfigError(f"subset={subset} is no part of the data{nearest(subset, SUBSETS)}")
    config = config.copy()
    if config.data.num_workers is None:
        config.data.num_workers = loader_workers(place.local_world if place else ranks)
    config.run_dir = literal(str(folder))
    config.name = config.name or default_name()
    data: VideoData = build(
        plain(config.data), name="data", trusted_packages=config.trusted_packages
    )
    manifest = data.manifest()
    if config.get("overfit") is not None:
        manifest = few_videos(manifest, config.overfit)
    flow = data.flow()
    if flow is not None:
        flow.check_files(manifest)
    several = data.multi_label or manifest.multi_label
    if several and config.task._target_ == ONE_LABEL_TASK:
        raise ConfigError(
            "the data give several labels to one video, and task=classification takes one; set "
            "task=multi_label, choose one by data.label_column, or give each video one label"
        )
    counts = manifest.counts()
    empty = [subset for subset in subsets if not counts[subset]]
    if empty:
        have = ", ".join(f"{subset} {count}" for subset, count in counts.items())
        raise ConfigError(
            f"the data have no {empty[0]} videos ({have}); list some in the annotations, "
            "or hold some out by data.val_fraction"
        )
    facts = _facts_of_several_labels(config) | _whole_paths(config)
    facts |= {
        **{f"data.{key}": value for key, value in data.derived().items()},
        "data.root": str(data.folder().resolve()),
        "data.num_classes": len(manifest.class_names),
        "data.class_names": list(manifest.class_names),
        "choices": choices(),
        "command": command_line(),
        "manifest": {
            "path": str(manifest.save(folder if on_several_machines(place) else None)),
            "sha256": manifest.sha256,
        },
        "global_batch_size": config.data.batch_size * ranks,
    }
    for key, value in facts.items():
        OmegaConf.update(config, key, literal(value), force_add=True)
    return plain(config)


def literal(value: Any) -> Any:
    """Return plain data that OmegaConf resolves to `value`, whatever its texts look like.

    What was found in files must not be resolved: a class may be called `${oc.env:HF_TOKEN}`.
    """
    if isinstance(value, Mapping):
        return {key: literal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [literal(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", value)
    return value


def _whole_paths(config: DictConfig) -> dict[str, str]:
    """Return settings that name files, so that the run goes on from any folder."""
    given = {key: OmegaConf.select(config, key) for key in _PATHS}
    return {key: str(Path(path).absolute()) for key, path in given.items() if path is not None}


def _facts_of_several_labels(config: DictConfig) -> dict[str, Any]:
    """Return settings that follow from `task=multi_label`.

    Raises:
        ConfigError: others that it cannot go with.
    """
    if config.task._target_ != SEVERAL_LABELS_TASK:
        return {}
    if config.get("members"):
        raise ConfigError(
            "an ensemble takes models of one label a video, and these are of task=multi_label; "
            "evaluate them one by one"
        )
    if "views.activation=softmax" in task_overrides():
        raise ConfigError(
            "views.activation=softmax gives one label a video, and task=multi_label several; "
            "leave it out"
        )
    return {"views.activation": "sigmoid"}


def loader_workers(ranks: int = 1) -> int:
    """Return how many loader processes a rank has by default: its cores, at most 8."""
    return max(1, min(8, len(os.sched_getaffinity(0)) // ranks))


def default_name() -> str:
    """Name a run after its data and model."""
    chosen = choices()
    return "-".join(chosen[group] for group in ("data", "model") if group in chosen)


def write_config(config: Mapping[str, Any], folder: Path) -> None:
    """Write `config.yaml` of a run whole, without its secrets (`videoclf.secrets`)."""
    text = yaml.safe_dump(redact(dict(config)), sort_keys=False, allow_unicode=True, width=100)
    with atomic_write(folder / "config.yaml") as temporary:
        temporary.write_text(text, encoding="utf-8")
