"""From a resolved config to what a rank runs: loaders, task and trainer.

The order is fixed: data first, then the model, whose arguments are held against them; then its
start weights, its head, what of it learns; the trainer last.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging, ProgressBar
from pytorch_lightning.profilers import SimpleProfiler
from torch import nn

from videoclf.build import build, find_target
from videoclf.checkpoints import SealedCheckpointIO
from videoclf.compiling import compile_model
from videoclf.data.datamodule import VideoDataModule
from videoclf.data.from_config import build_datamodule
from videoclf.data.manifest import Manifest
from videoclf.early_stopping import early_stopping
from videoclf.errors import ConfigError
from videoclf.freezing import freeze_part
from videoclf.global_batch import videos_a_step
from videoclf.heartbeat import Heartbeat
from videoclf.init_from import start_from
from videoclf.models.blocks.source_head import add_source_head
from videoclf.multigrid_training import UnequalEpochs, check_model
from videoclf.optimizers import OptimizerFactory
from videoclf.pace import Pace
from videoclf.progress import progress_callback
from videoclf.reports.environment import collect_environment
from videoclf.reports.redaction import redact
from videoclf.save_points import SavePoints
from videoclf.sharding import sharding_callbacks
from videoclf.standstill import Marks
from videoclf.stop_signals import StopSignals
from videoclf.tasks.video_task import VideoTask
from videoclf.trials import DRY_RUN
from videoclf.weights.loading import load_entry


@dataclass(frozen=True)
class Parts:
    """What a config builds."""

    datamodule: VideoDataModule
    task: VideoTask
    trainer: pl.Trainer
    save_points: SavePoints | None
    marks: Marks | None = None


def assemble(
    config: Mapping[str, Any],
    folder: Path,
    *,
    training: bool,
    stop: StopSignals,
    began: float,
    resume_from: Path | None,
    marks: Marks | None = None,
) -> Parts:
    """Build everything that a resolved config names; `marks` is where a watched rank is."""
    pl.seed_everything(config["seed"], verbose=False)
    datamodule = build_datamodule(
        config,
        manifest=Manifest.open(config["manifest"]["path"]),
        folder=Path(config["data"]["root"]),
    )
    task = _task(config, datamodule, training=training)
    if training and resume_from is None:
        _start_weights(config, task.model)
    elif training and config.get("source_classes"):
        add_source_head(task.model, num_classes=len(config["source_classes"]))
    if config.get("head"):
        task.model = _make(config, "head", backbone=task.model)
    pace = Pace(num_workers=config["data"]["num_workers"])
    progress = progress_callback(pace)
    callbacks: list[Callback] = [*_heartbeat(config, marks), pace, progress, stop]
    save_points: SavePoints | None = None
    if training:
        learning = _choose_what_learns(config, task.model)
        save_points = _make(config, "checkpoint").save_points(
            folder / "checkpoints", seed=config["seed"], stop=stop, began=began
        )
        callbacks.append(save_points)
        if config["ema_decay"] is not None:
            callbacks.append(EMAWeightAveraging(decay=config["ema_decay"]))
        callbacks += learning
        early = config.get("early_stopping") or {}
        callbacks += early_stopping(
            early.get("patience"),
            early.get("target"),
            monitor=config["checkpoint"]["monitor"],
            mode=config["checkpoint"]["mode"],
        )
        if datamodule.multigrid is not None:
            shapes = datamodule.multigrid.shapes(datamodule.clip_shape)
            check_model(task.model, shapes, config["data"]["modalities"])
            callbacks.append(UnequalEpochs())
        compile_model(task.model, config.get("compile", False))
    lay_channels_last(task.model)
    callbacks += sharding_callbacks(config, training=training)
    trainer = _trainer(config, folder, datamodule, callbacks, progress, training=training)
    return Parts(datamodule, task, trainer, save_points, marks)


def _heartbeat(config: Mapping[str, Any], marks: Marks | None) -> list[Callback]:
    """Return what lets the launching process watch this rank, where others would wait for it."""
    seconds = config.get("seconds_without_progress")
    if marks is None or seconds is None or os.environ.get("WORLD_SIZE", "1") == "1":
        return []
    data = config["data"]
    each = data["seconds_per_file"]
    reading = None if each is None else each * (data["batch_size"] + 1)
    return [Heartbeat(marks=marks, seconds=seconds, seconds_reading=reading)]


def _make(config: Mapping[str, Any], group: str, **runtime: Any) -> Any:
    trusted = config["trusted_packages"]
    return build(config[group], name=group, trusted_packages=trusted, **runtime)


def _task(config: Mapping[str, Any], datamodule: VideoDataModule, *, training: bool) -> VideoTask:
    """Build the model, and the task around it with what it asks for."""
    data = config["data"]
    model = _make(config, "model")
    check_modalities(model, data["modalities"])
    if training and getattr(model, "feature_cache", None) and not datamodule.transform.is_fixed:
        raise ConfigError(
            "model.feature_cache keeps the features of each frame, and this transform changes "
            "frames at random; set transform=plain, or model.feature_cache=null"
        )
    known = {
        "model": model,
        "optimizer": _optimizer(config),
        "num_classes": data["num_classes"],
        "max_unreadable": data["max_unreadable"],
    }
    target = find_target(config["task"], name="task", trusted_packages=config["trusted_packages"])
    names = getattr(target, "RUNTIME_ARGUMENTS", known)
    task: VideoTask = _make(config, "task", **{name: known[name] for name in names})
    return task


def _start_weights(config: Mapping[str, Any], model: nn.Module) -> None:
    """Load what a training starts from, and say on rank 0 what came of it."""
    own, published = config["init_from"], config.get("weights")
    if own is not None and published is not None:
        raise ConfigError(f"init_from={own} and model.weights={published}; start from one of them")
    said = ""
    if own is not None:
        said = start_from(
            Path(own),
            model,
            class_names=config["data"]["class_names"],
            allow_unmatched=config["init_from_allow_unmatched"],
            keep_source=bool(config.get("source_classes")),
        )
    elif published is not None:
        said = load_entry(
            published,
            model,
            class_names=config["data"]["class_names"],
            allow_unmatched=config["weights_allow_unmatched"],
            keep_source=bool(config.get("source_classes")),
        )
    if said and os.environ.get("RANK", "0") == "0":
        sys.stderr.write(f"{said}\n")


def _optimizer(config: Mapping[str, Any]) -> OptimizerFactory:
    """Build the optimiser's factory, with the global batch where it asks for it."""
    node, trusted = config["optimizer"], config["trusted_packages"]
    target = find_target(node, name="optimizer", trusted_packages=trusted)
    known = {}
    if "global_batch_size" in getattr(target, "RUNTIME_ARGUMENTS", ()):
        ranks = int(os.environ.get("WORLD_SIZE", "1"))
        known["global_batch_size"] = videos_a_step(config, ranks=ranks)
    factory: OptimizerFactory = _make(config, "optimizer", **known)
    return factory


def _choose_what_learns(config: Mapping[str, Any], model: nn.Module) -> list[Callback]:
    """Freeze, adapt and set the batch norms as the config says."""
    learning = freeze_part(model, config["freeze"], config.get("unfreeze_at_epoch"))
    learning += _make(config, "lora").apply(model)
    on_gpu = config["trainer"]["accelerator"] != "cpu" and torch.cuda.is_available()
    learning += _make(config, "batch_norm").apply(model, on_gpu=on_gpu)
    return learning


def devices_here(wanted: Any, ranks_here: int) -> Any:
    """Return the devices of this machine: how many, or their numbers where these are named."""
    named = isinstance(wanted, (list, tuple))
    return ranks_here if not named and (wanted == "auto" or ranks_here > 1) else wanted


def _trainer(
    config: Mapping[str, Any],
    folder: Path,
    datamodule: VideoDataModule,
    callbacks: list[Callback],
    progress: Callback,
    *,
    training: bool,
) -> pl.Trainer:
    loggers = [
        build(node, name=f"logger.{name}", trusted_packages=config["trusted_packages"])
        for name, node in config.get("logger", {}).items()
    ]
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    changes = (
        {"log_every_n_steps": _logging_interval(config, datamodule, ranks)} if training else {}
    )
    if training and config.get("dry_run"):
        changes |= DRY_RUN
    trainer: pl.Trainer = _make(
        config,
        "trainer",
        devices=devices_here(config["trainer"]["devices"], ranks_here),
        num_nodes=ranks // ranks_here,
        logger=loggers or False,
        callbacks=callbacks,
        plugins=[
            SealedCheckpointIO(
                _description(config),
                asynchronous=config.get("checkpoint", {}).get("asynchronous", False),
                sharded=config.get("checkpoint", {}).get("sharded", False),
            )
        ],
        default_root_dir=str(folder),
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=isinstance(progress, ProgressBar),
        enable_checkpointing=training,
        profiler=_profiler(config, folder) if training else None,
        **changes,
    )
    return trainer


def _logging_interval(config: Mapping[str, Any], datamodule: VideoDataModule, ranks: int) -> int:
    """Return every how many steps a training is logged: at least once in each epoch."""
    trainer = config["trainer"]
    batches, limit = datamodule.fewest_batches(ranks), trainer.get("limit_train_batches")
    if limit is not None:
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    steps: int = batches // trainer["accumulate_grad_batches"]
    asked: int = trainer["log_every_n_steps"]
    return max(1, min(steps, asked))


def _profiler(config: Mapping[str, Any], folder: Path) -> SimpleProfiler | None:
    """Return what writes the seconds of each hook of a run to `fit-profiler.txt`, if asked for."""
    name = config.get("profiler")
    if name not in (None, "simple"):
        raise ConfigError(f"profiler={name} must be null or simple; see also `videoclf profile`")
    return SimpleProfiler(dirpath=folder, filename="profiler") if name else None


def lay_channels_last(model: nn.Module) -> None:
    """Lay filters out as clips arrive, channels last, which spares every layer a reordering."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in model.parameters():
        if parameter.ndim in layouts:
            parameter.data = parameter.data.contiguous(memory_format=layouts[parameter.ndim])


def check_modalities(model: nn.Module, modalities: Sequence[str]) -> None:
    """Hold the arguments of a model's `forward` against the modalities of the data.

    Raises:
        ConfigError: the model wants others.
    """
    wanted = list(inspect.signature(model.forward).parameters)
    if wanted != list(modalities):
        raise ConfigError(
            f"{type(model).__name__}.forward takes {', '.join(wanted)}, but "
            f"data.modalities={list(modalities)}; set data.modalities=[{','.join(wanted)}] "
            "or choose another model"
        )


def _description(config: Mapping[str, Any]) -> dict[str, Any]:
    """What travels with every checkpoint."""
    return {
        "config": redact(config),
        "classes": config["data"]["class_names"],
        "source_classes": config.get("source_classes"),
        "manifest_sha256": config["manifest"]["sha256"],
        "environment": collect_environment("unknown"),
    }
