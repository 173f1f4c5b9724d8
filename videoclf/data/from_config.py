"""From a resolved config to the loaders of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoclf.build import build
from videoclf.data.datamodule import VideoDataModule
from videoclf.data.flow_source import FlowSource
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError


def build_datamodule(
    config: Mapping[str, Any], *, manifest: Manifest, folder: Path
) -> VideoDataModule:
    """Build the loaders, with the sampler, transform and views that a config names.

    Args:
        config: plain and resolved, with the groups `data`, `sampler`, `transform` and `views`.
        manifest: of the data.
        folder: the data root.

    Raises:
        ConfigError: a wrong value.
    """
    data, trusted = config["data"], config["trusted_packages"]
    parts = {
        name: build(config[name], name=name, trusted_packages=trusted)
        for name in ("sampler", "transform", "views")
    }
    cached = (config.get("head") or {}).get("feature_cache")
    if cached is not None and parts["transform"].mixing.active:
        raise ConfigError(
            f"head.feature_cache={cached} keeps the features of whole clips, and the transform "
            "mixes them anew in each step; set transform.mixing.probability=0"
        )
    return VideoDataModule(
        manifest=manifest,
        folder=folder,
        reader=data["reader"],
        batch_size=data["batch_size"],
        clips_per_video=data["clips_per_video"],
        num_workers=data["num_workers"],
        verify_hashes=data["verify_hashes"],
        modalities=data["modalities"],
        flow=FlowSource(
            folder=data["flow_folder"],
            method=data["flow_method"],
            bound_pixels=data["flow_bound_pixels"],
        ),
        seconds_per_file=data["seconds_per_file"],
        seed=config["seed"],
        same_clips=cached is not None,
        balance=data.get("balance", "none"),  # unknown to older checkpoints
        augment=not config.get("overfit"),
        max_val_batches=1 if config.get("dry_run") else None,
        test_subset=config.get("subset", "test"),
        **_steps(config),
        **parts,
    )


def _steps(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes steps of their own size or shape; nothing where all are alike.

    Where only the trainer accumulates passes, an epoch ends with a step of what is left.
    """
    node, trusted = config.get("multigrid"), config["trusted_packages"]
    if node is None and config["data"].get("global_batch_size") is None:
        return {}
    if node is not None and config.get("overfit"):
        raise ConfigError(
            f"overfit={config['overfit']} trains on the same clips again and again, and "
            "multigrid on other shapes; set multigrid=null"
        )
    epochs = config["trainer"]["max_epochs"]
    if node is not None and (epochs is None or epochs < 1):
        raise ConfigError(
            f"trainer.max_epochs={epochs}: multigrid shares out a number of epochs; set one, from 1"
        )
    return {
        "passes": config["trainer"]["accumulate_grad_batches"],
        "multigrid": node and build(node, name="multigrid", trusted_packages=trusted),
        "max_epochs": epochs,
    }
