"""From a checkpoint and overrides to a network that predicts: what `videoclf.load` calls."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videoclf.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videoclf.predicting.predictor import Predictor

TASK = "videoclf.tasks.classification.VideoClassification"
MULTI_LABEL_TASK = "videoclf.tasks.multi_label.MultiLabelClassification"


def compose_checkpoint(checkpoint: Path, overrides: Sequence[str]) -> DictConfig:
    """Compose the evaluation of one checkpoint, with its classes whatever the data are.

    Raises:
        ConfigError: an override is wrong; the text names the nearest key or option.
        CheckpointError: the checkpoint is missing or damaged.
    """
    from omegaconf import OmegaConf

    from videoclf import checkpoint_file
    from videoclf.cli.composing import compose_evaluate
    from videoclf.config import literal
    from videoclf.config_from_checkpoint import classes_of

    quoted = str(checkpoint).replace("\\", "\\\\").replace('"', '\\"')
    config = compose_evaluate([*overrides, f'checkpoint="{quoted}"'])
    classes = classes_of(checkpoint_file.describe(checkpoint), config.head_of, path=checkpoint)
    OmegaConf.update(config, "data.num_classes", len(classes))
    OmegaConf.update(config, "data.class_names", literal(classes))
    return config


def with_own_views(checkpoint: Path, overrides: Sequence[str]) -> list[str]:
    """Put the views of the checkpoint's own test before the overrides, which may change them.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    from videoclf.config_from_checkpoint import read_config

    if any(override.startswith("views=") for override in overrides):
        return list(overrides)  # a preset says all of it
    views: dict[str, Any] = read_config(checkpoint).get("views") or {}
    shown = {key: value for key, value in views.items() if isinstance(value, int | str)}
    own = [f"views.{key}={value}" for key, value in shown.items() if key != "_target_"]
    for setting in own:  # goes through Hydra's grammar, where some characters do things
        if not re.fullmatch(r"views\.\w+=[\w.+-]*", setting):
            raise CheckpointError(f"{checkpoint} has {setting}, which no run writes; not loaded")
    return [*own, *overrides]


def check_classifies(
    checkpoint: Path, settings: dict[str, Any], *, several_labels: bool = False
) -> None:
    """Refuse a checkpoint of another task than classification.

    Args:
        checkpoint: the file.
        settings: its config.
        several_labels: a network may also say several labels of a video.

    Raises:
        ConfigError: it is one.
    """
    task = settings["task"]["_target_"]
    if task != TASK and not (several_labels and task == MULTI_LABEL_TASK):
        what = "several labels at once" if task == MULTI_LABEL_TASK else "no classes"
        raise ConfigError(
            f"{checkpoint} was trained with {task.rpartition('.')[2]}, which gives {what}; "
            "name the checkpoint of a classification"
        )


def load(
    checkpoint: str | os.PathLike[str],
    settings: Sequence[str] = (),
    *,
    device: str | None = None,
) -> Predictor:
    """Load a checkpoint to predict with; see `videoclf.load`."""
    from omegaconf import OmegaConf

    from videoclf.config import plain
    from videoclf.predicting.network import build_network
    from videoclf.predicting.predictor import Predictor

    path = Path(checkpoint)
    config = compose_checkpoint(path, with_own_views(path, settings))
    if config.data.reader == "decoded":  # it would keep whole files decoded, for one look at each
        OmegaConf.update(config, "data.reader", "pyav")
    found = without_stores(plain(config))
    check_classifies(path, found, several_labels=True)
    model = build_network(found, device)
    return Predictor(model=model, class_names=found["data"]["class_names"], settings=found)


def without_stores(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out the files that keep features of the clips of a training."""
    changed = dict(settings)
    for group in ("model", "head"):
        if "feature_cache" in (changed.get(group) or {}):
            changed[group] = {**changed[group], "feature_cache": None}
    return changed
