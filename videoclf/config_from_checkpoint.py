"""What `evaluate.py` takes from a checkpoint: options for Hydra's groups, and its classes.

The checkpoint's description is read without torch. For each group it becomes the option
`checkpoint`, so that every key of it can be overridden and a misspelt one is found as usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from hydra.core.config_store import ConfigStore

from videoclf import checkpoint_file
from videoclf.data.manifest import Manifest
from videoclf.errors import CheckpointError, ConfigError

GROUPS = ("data", "sampler", "transform", "task", "optimizer", "model")
#: Groups that a data set suggests for training, but that a trained model has settled.
SETTLED = {"recipe": "default"} | dict.fromkeys(("sampler", "transform", "model"), "checkpoint")


def offer_checkpoint_options(arguments: list[str]) -> list[str]:
    """Register the option `checkpoint` of each group; return the arguments to compose with.

    Raises:
        ConfigError: no single checkpoint is named.
        CheckpointError: it is missing or damaged.
    """
    flags = [text for text in arguments if text.startswith("checkpoint=")]
    given = [text.partition("=")[2] for text in flags]
    config: dict[str, Any] = {}
    if given:
        if "," in given[-1] or given[-1].startswith("["):
            raise ConfigError(
                f"checkpoint={given[-1]} must be one path; evaluate several one after another"
            )
        description = checkpoint_file.describe(Path(given[-1].strip("'\"")))
        config = _with_interpolations(description["config"])
    elif not any(text in ("-h", "--help", "--hydra-help") for text in arguments):
        raise ConfigError("checkpoint is not set; give checkpoint=runs/.../checkpoints/best.ckpt")
    store = ConfigStore.instance()
    for group in GROUPS:
        store.store(group=group, name="checkpoint", node=config.get(group, {}))
    named = {text.partition("=")[0] for text in arguments}
    # `checkpoint` is a group of the training config, so Hydra would look for an option of it
    renamed = [
        text.replace("checkpoint=", "checkpoint_file=", 1) if text in flags else text
        for text in arguments
    ]
    settled = SETTLED | ({"name": f"{config['name']}-evaluation"} if config else {})
    return renamed + [f"{key}={value}" for key, value in settled.items() if key not in named]


def _with_interpolations(config: dict[str, Any]) -> dict[str, Any]:
    """Free what the run found out by itself, so that it is found anew for the data at hand."""
    data = {**config["data"], "num_classes": None, "class_names": None}
    return {**config, "data": data}


def align_classes(config: dict[str, Any]) -> dict[str, Any]:
    """Bring the data's labels into the checkpoint's classes, by name; name what was trained.

    Data whose classes are the checkpoint's, or some of them, get its class ids.

    Raises:
        CheckpointError: the data have classes that the checkpoint does not know.
    """
    trained = checkpoint_file.describe(Path(config["checkpoint_file"]))
    known = trained["classes"]
    for group, option in trained["config"]["choices"].items():
        if config["choices"].get(group) in (None, "checkpoint"):
            config["choices"][group] = option
    manifest = Manifest.open(config["manifest"]["path"])
    if list(manifest.class_names) == known:
        return config
    unknown = [name for name in manifest.class_names if name not in known]
    if unknown:
        path = config["checkpoint_file"]
        raise CheckpointError(
            f"{path} knows {len(known)} classes ({', '.join(known[:5])}, ...), but not "
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
