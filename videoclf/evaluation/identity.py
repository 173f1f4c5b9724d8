"""What an evaluation is, so that stored parts of another one are never taken for its own.

Known to the launching process, without torch, and to the ranks, without Hydra.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoclf import checkpoint_file

#: Settings that may be given beside `resume`: they change where and how fast, not what.
CHANGEABLE = (
    "data.annotations",
    "data.batch_size",
    "data.max_unreadable",
    "data.num_workers",
    "data.root",
    "data.seconds_per_file",
    "inference.save_every_seconds",
    "seconds_without_progress",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trusted_packages",
)
#: What an evaluation's identity leaves out of its settings: the above, and names of places.
_UNSAID = frozenset({*CHANGEABLE, "data.num_classes", "data.class_names", "inference.share_frames"})
_READING = ("reader", "modalities", "flow_folder", "flow_method", "flow_bound_pixels")
_SETTINGS = ("subset", "seed", "views", "sampler", "transform", "model", "head", "inference")


def identity(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what tells an evaluation's numbers from those of another, each part by its hash.

    Args:
        config: resolved, of the evaluation.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    file, published = config.get("checkpoint_file"), config.get("weights")
    found = {
        "checkpoint": checkpoint_file.verify(Path(file)) if file else str(published),
        "manifest": config["manifest"]["sha256"],
        "trainer.precision": str(config["trainer"]["precision"]),
        **{f"data.{name}": str(config["data"][name]) for name in _READING},
    }
    if config.get("head_of", "new") != "new":
        found["head_of"] = config["head_of"]
    for name in _SETTINGS:
        node = config.get(name)
        if isinstance(node, Mapping):
            node = {key: value for key, value in node.items() if f"{name}.{key}" not in _UNSAID}
        text = json.dumps(node, sort_keys=True, default=str)
        found[name] = hashlib.sha256(text.encode()).hexdigest()
    return found
