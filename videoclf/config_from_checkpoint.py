"""What `evaluate.py` takes from a checkpoint: options for Hydra's groups, and its classes.

The checkpoint's description is read without torch. For each group it becomes the option
`checkpoint`, so that every key of it can be overridden and a misspelt one is found as usual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from videoclf import checkpoint_file
from videoclf.config import literal
from videoclf.data.manifest import Manifest
from videoclf.errors import CheckpointError, ConfigError

GROUPS = ("data", "sampler", "transform", "task", "head", "optimizer", "model")
#: Groups without which a config is none.
NEEDED = ("data", "sampler", "transform", "task", "model")
#: Groups that a data set suggests for training, but that a trained model has settled.
SETTLED = {"recipe": "default"} | dict.fromkeys(("sampler", "transform", "model"), "checkpoint")


def offer_checkpoint_options(arguments: list[str]) -> list[str]:
    """Register the option `checkpoint` of each group; return the arguments to compose with.

    Of several checkpoints the first one's settings are offered, and all stand in `members`.

    Raises:
        ConfigError: no checkpoint is named, or settings of an ensemble for a single one.
        CheckpointError: it is missing or damaged.
    """
    flags = [text for text in arguments if text.startswith("checkpoint=")]
    config: dict[str, Any] = {}
    members: list[str] = []
    if flags:
        named_paths = _paths(flags[-1])
        if len(named_paths) > 1:
            members = [f"members=[{','.join(map(_quoted, named_paths))}]"]
        else:
            refuse_ensemble(arguments, "checkpoints", "'checkpoint=[a.ckpt,b.ckpt]'")
        config = literal(_with_interpolations(read_config(Path(named_paths[0]))))
        flags, arguments = flags[-1:], [text for text in arguments if text not in flags[:-1]]
    elif not any(text in ("-h", "--help", "--hydra-help") for text in arguments):
        raise ConfigError("checkpoint is not set; give checkpoint=runs/.../checkpoints/best.ckpt")
    store = ConfigStore.instance()
    for group in GROUPS:
        store.store(group=group, name="checkpoint", node=config.get(group, {}))
    named = {text.partition("=")[0] for text in arguments}
    # `checkpoint` is a group of the training config, so Hydra would look for an option of it
    renamed = [
        f"checkpoint_file={_quoted(named_paths[0])}" if text in flags else text
        for text in arguments
    ] + members
    settled = SETTLED | ({"name": f"{_folder_name(config)}-evaluation"} if config else {})
    return renamed + [f"{key}={value}" for key, value in settled.items() if key not in named]


def read_config(path: Path) -> dict[str, Any]:
    """Return the config that a checkpoint carries: plain data, in which nothing is resolved.

    Raises:
        CheckpointError: it is missing or damaged, or carries no config of a run.
    """
    config = checkpoint_file.describe(path).get("config")
    if not isinstance(config, dict) or not all(isinstance(config.get(g), dict) for g in NEEDED):
        raise CheckpointError(f"{path} carries no config of a run; it is not loaded")
    return config


def compose_member(path: str, overrides: Sequence[str]) -> DictConfig:
    """Compose the evaluation of one checkpoint of several, in a process where Hydra has started."""
    arguments = offer_checkpoint_options(["evaluate.py", f"checkpoint={_quoted(path)}", *overrides])
    return compose(config_name="evaluate", overrides=arguments[1:])


def _paths(override: str) -> list[str]:
    """Return the paths of `checkpoint=a.ckpt` or `checkpoint=[a.ckpt,b.ckpt]`.

    Raises:
        ConfigError: neither.
    """
    try:
        value = OverridesParser.create().parse_override(override).value()
    except HydraException:
        value = None
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, list) or not paths or not all(isinstance(p, str) for p in paths):
        raise ConfigError(
            f"{override} names no checkpoint; "
            "give checkpoint=a.ckpt or 'checkpoint=[a.ckpt,b.ckpt]'"
        )
    return [str(path) for path in paths]


def _folder_name(config: Mapping[str, Any]) -> str:
    """Return a run's name as one word, which names a folder here and nothing above it."""
    return re.sub(r"[^\w.+-]", "_", str(config.get("name")))


def _quoted(path: str) -> str:
    """Quote a path for Hydra's grammar, where =, commas and spaces mean something."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def refuse_ensemble(arguments: Sequence[str], what: str, instead: str) -> None:
    """Refuse settings of an ensemble where there is one checkpoint, or one of what else it joins.

    Args:
        arguments: overrides as typed.
        what: `checkpoints`, or the like.
        instead: how several are named.

    Raises:
        ConfigError: there are some.
    """
    for text in arguments:
        if text.lstrip("+~").startswith(("ensemble.", "ensemble=")):
            raise ConfigError(f"{text} is for several {what}; name them as {instead}")


def _with_interpolations(config: dict[str, Any]) -> dict[str, Any]:
    """Free what the run found out by itself, so that it is found anew for the data at hand."""
    data = {**config["data"], "num_classes": None, "class_names": None}
    return {**config, "data": data}


def align_classes(config: dict[str, Any]) -> dict[str, Any]:
    """Bring the data's labels into the checkpoint's classes, by name; name what was trained.

    Data whose classes are the checkpoint's, or some of them, get its class ids. With
    `head_of=source` they are the classes of what it was started from.

    Raises:
        ConfigError: the checkpoint has no head of a source.
        CheckpointError: the data have classes that the checkpoint does not know.
    """
    path = Path(config["checkpoint_file"])
    trained = checkpoint_file.describe(path)
    known = classes_of(trained, config["head_of"], path=path)
    for group, option in trained["config"]["choices"].items():
        if config["choices"].get(group) in (None, "checkpoint"):
            config["choices"][group] = option
    aligned = with_classes(config, known, of=config["checkpoint_file"])
    if config["head_of"] == "source":  # both heads are loaded, and then this one is taken
        aligned["model"]["num_classes"] = len(trained["classes"])
    return aligned


def classes_of(described: Mapping[str, Any], head_of: str, *, path: Path) -> list[str]:
    """Return the classes of one of the heads of a checkpoint.

    Args:
        described: what the checkpoint says of itself.
        head_of: new, or source.
        path: of the checkpoint, for the error.

    Raises:
        ConfigError: there is no such head.
    """
    if head_of not in ("new", "source"):
        raise ConfigError(f"head_of={head_of} must be new or source")
    found = described["classes"] if head_of == "new" else described.get("source_classes")
    if not found:
        raise ConfigError(
            f"head_of=source, and {path} has one class head; the source's is kept by a training "
            "with keep_source_head=true"
        )
    return list(found)


def with_classes(config: dict[str, Any], known: Sequence[str], *, of: str) -> dict[str, Any]:
    """Bring the data's labels into the classes that a network knows.

    Args:
        config: prepared.
        known: in the order of its head.
        of: whose they are, for the error.

    Raises:
        CheckpointError: the data have others.
    """
    known = list(known)
    manifest = Manifest.open(config["manifest"]["path"])
    if list(manifest.class_names) == known:
        return config
    unknown = [name for name in manifest.class_names if name not in known]
    if unknown:
        raise CheckpointError(
            f"{of} knows {len(known)} classes ({', '.join(known[:5])}, ...), but not "
            f"{', '.join(unknown[:5])} of the data; evaluate it on data with its own classes"
        )
    aligned = _relabelled(manifest, known)
    config["manifest"] = {"path": str(aligned.save()), "sha256": aligned.sha256}
    config["data"] |= {"num_classes": len(known), "class_names": known}
    config["model"]["num_classes"] = len(known)
    return config


def _relabelled(manifest: Manifest, class_names: Sequence[str]) -> Manifest:
    """Return the manifest with its labels as ids of other class names, which include its own."""
    ids = pa.array([list(class_names).index(name) for name in manifest.class_names], pa.int32())
    labels = manifest.table["labels"].combine_chunks()
    moved = pa.ListArray.from_arrays(labels.offsets, ids.take(labels.values))
    place = manifest.table.schema.get_field_index("labels")
    return Manifest(manifest.table.set_column(place, "labels", moved), tuple(class_names))
