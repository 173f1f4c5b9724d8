"""One rank of a run: manifest -> build -> fit -> evaluate -> report.

Started by `videoclf.launch` as `python -m videoclf.run train|evaluate <run folder>`, with a
checkpoint of the run as a third argument where it goes on from there; reads the folder's resolved
`config.yaml`, and leaves its error, if any, for the launching process.
"""

from __future__ import annotations

import atexit
import errno
import inspect
import json
import logging
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
import yaml
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging, ProgressBar
from torch import nn

from videoclf.build import build, find_target
from videoclf.checkpoints import SealedCheckpointIO, load_model
from videoclf.data.datamodule import VideoDataModule
from videoclf.data.from_config import build_datamodule
from videoclf.data.manifest import Manifest
from videoclf.ensemble import join_members
from videoclf.errors import CheckpointError, ConfigError, StorageError, VideoclfError
from videoclf.evaluation.evaluator import Evaluation, evaluate
from videoclf.freezing import freeze_part
from videoclf.init_from import start_from
from videoclf.launch import error_file
from videoclf.parent import die_with_parent
from videoclf.progress import progress_callback
from videoclf.reports.environment import collect_environment
from videoclf.reports.writer import write_results
from videoclf.save_points import SavePoints
from videoclf.sharding import sharding_callbacks
from videoclf.stop_signals import Stopped, StopSignals
from videoclf.tasks.video_task import VideoTask

#: Warnings of others that tell our users nothing, each by its exact beginning and with the reason.
QUIET = (
    # Lightning calls a torch helper that newer torch renames
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
    # the number of workers is chosen by `data.num_workers`, also where it is 0 or 1
    (UserWarning, r"The '\w+' does not have many workers"),
    # validation metrics are computed from the joined rows: every rank logs the same value
    (UserWarning, r"It is recommended to use `self.log\(.*sync_dist=True\)`"),
    # a resumed run: the batch sampler knows where it stopped
    (UserWarning, r"You're resuming from a checkpoint that ended before the epoch ended"),
    # a frozen part is in eval mode on purpose
    (UserWarning, r"Found \d+ module\(s\) in eval mode"),
    # an average of the weights is refused together with sharding, which is what the hook is for
    (UserWarning, r"You're using the WeightAveraging callback with a model that overrides"),
    # on a SLURM login node: the ranks are started by videoclf.launch
    (UserWarning, r"The `srun` command is available on your system but is not used"),
)

#: Errors of the system that mean: this place cannot be written to.
STORAGE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


@dataclass(frozen=True)
class Parts:
    """What a config builds."""

    datamodule: VideoDataModule
    task: VideoTask
    trainer: pl.Trainer
    save_points: SavePoints | None


def main(arguments: Sequence[str]) -> int:
    """Run one rank; return its exit code."""
    kind, folder = arguments[0], Path(arguments[1])
    resume_from = Path(arguments[2]) if len(arguments) > 2 else None
    stop = StopSignals()
    stop.install()
    die_with_parent()
    for category, message in QUIET:
        warnings.filterwarnings("ignore", message, category)
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    rank = int(os.environ.get("RANK", "0"))
    try:
        _run(kind, folder, resume_from, stop)
    except Stopped as stopped:
        return 128 + stopped.number
    except VideoclfError as error:
        return _leave(error, folder, rank)
    except MisconfigurationException as error:  # Lightning's word for a wrong option
        return _leave(ConfigError(" ".join(str(error).split())), folder, rank)
    except OSError as error:
        if error.errno not in STORAGE_ERRORS:
            raise
        full = StorageError(f"cannot write {error.filename or folder}: {error.strerror}; make room")
        return _leave(full, folder, rank)
    finally:
        # an exception keeps its loaders alive, and Python would wait for their processes at exit
        for worker in multiprocessing.active_children():
            worker.kill()
    return 0


def _run(kind: str, folder: Path, resume_from: Path | None, stop: StopSignals) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    began = float(os.environ.get("VIDEOCLF_BEGAN", time.time()))
    if kind == "ensemble":
        join_members(config, folder, began)
        return
    parts = assemble(
        config, folder, training=kind == "train", stop=stop, began=began, resume_from=resume_from
    )
    watchdog = parts.datamodule.watchdog
    watchdog.give_up = partial(_leave, folder=folder, rank=parts.trainer.global_rank)
    with watchdog.explaining():
        if kind == "train":
            train(config, folder, parts, began, resume_from)
        else:
            test(config, folder, parts, began)


def train(
    config: Mapping[str, Any], folder: Path, parts: Parts, began: float, resume_from: Path | None
) -> None:
    """Fit, then evaluate the best checkpoint once on the test list, then report."""
    assert parts.save_points is not None
    parts.trainer.fit(parts.task, datamodule=parts.datamodule, ckpt_path=resume_from)
    train_seconds = parts.save_points.train_seconds
    best = folder / "checkpoints" / "best.ckpt"
    if not best.is_file():
        raise CheckpointError(f"the run wrote no {best}; look at checkpoint.monitor")
    load_model(best, parts.task.model)
    subset = "test" if parts.datamodule.manifest.counts()["test"] else "val"
    evaluation = evaluate(parts.trainer, parts.task, parts.datamodule, subset)
    steps = parts.trainer.num_training_batches * parts.trainer.current_epoch
    videos = steps * parts.datamodule.batch_size * parts.trainer.world_size
    clips = videos * parts.datamodule.clips_per_video
    timing = {"train_seconds": train_seconds, "clips_per_second": clips / train_seconds}
    began -= parts.save_points.earlier_seconds
    report(config, folder, parts, evaluation, began, timing)


def test(config: Mapping[str, Any], folder: Path, parts: Parts, began: float) -> None:
    """Evaluate a checkpoint by the config's views, then report."""
    load_model(Path(config["checkpoint_file"]), parts.task.model)
    evaluation = evaluate(parts.trainer, parts.task, parts.datamodule, config["subset"])
    views = len(evaluation.scores.rows) * parts.datamodule.views["test"].num_views
    timing = {"clips_per_second": views / evaluation.seconds}
    report(config, folder, parts, evaluation, began, timing)


def assemble(
    config: Mapping[str, Any],
    folder: Path,
    *,
    training: bool,
    stop: StopSignals,
    began: float,
    resume_from: Path | None,
) -> Parts:
    """Build everything that a resolved config names, data first, the model before the trainer."""
    pl.seed_everything(config["seed"], verbose=False)
    trusted = config["trusted_packages"]

    def make(group: str, **runtime: Any) -> Any:
        return build(config[group], name=group, trusted_packages=trusted, **runtime)

    data = config["data"]
    manifest = Manifest.open(config["manifest"]["path"])
    datamodule = build_datamodule(config, manifest=manifest, folder=Path(data["root"]))
    model = make("model")
    check_modalities(model, data["modalities"])
    if training and getattr(model, "feature_cache", None) and not datamodule.transform.is_fixed:
        raise ConfigError(
            "model.feature_cache keeps the features of each frame, and this transform changes "
            "frames at random; set transform=plain, or model.feature_cache=null"
        )
    known = {
        "model": model,
        "optimizer": make("optimizer"),
        "num_classes": data["num_classes"],
        "max_unreadable": data["max_unreadable"],
    }
    wanted = find_target(config["task"], name="task", trusted_packages=trusted)
    wanted_names = getattr(wanted, "RUNTIME_ARGUMENTS", known)
    task: VideoTask = make("task", **{name: known[name] for name in wanted_names})
    learning: list[Callback] = []
    if training and config["init_from"] is not None and resume_from is None:
        said = start_from(
            Path(config["init_from"]),
            task.model,
            class_names=data["class_names"],
            allow_unmatched=config["init_from_allow_unmatched"],
        )
        if os.environ.get("RANK", "0") == "0":
            sys.stderr.write(f"{said}\n")
    if config.get("head"):
        task.model = make("head", backbone=task.model)
    if training:
        learning += freeze_part(task.model, config["freeze"])
        learning += make("lora").apply(task.model)
        on_gpu = config["trainer"]["accelerator"] != "cpu" and torch.cuda.is_available()
        learning += make("batch_norm").apply(task.model, on_gpu=on_gpu)
    lay_channels_last(task.model)
    progress = progress_callback()
    callbacks: list[Callback] = [progress, stop]
    save_points: SavePoints | None = None
    if training:
        save_points = make("checkpoint").save_points(
            folder / "checkpoints", seed=config["seed"], stop=stop, began=began
        )
        callbacks.append(save_points)
        if config["ema_decay"] is not None:
            callbacks.append(EMAWeightAveraging(decay=config["ema_decay"]))
        callbacks += learning
    callbacks += sharding_callbacks(config, training=training)
    loggers = [
        build(node, name=f"logger.{name}", trusted_packages=trusted)
        for name, node in config.get("logger", {}).items()
    ]
    devices, ranks = config["trainer"]["devices"], int(os.environ.get("WORLD_SIZE", "1"))
    steps = len(datamodule.rows("train")) // (data["batch_size"] * ranks) if training else 1
    trainer = make(
        "trainer",
        devices=ranks if devices == "auto" else devices,
        log_every_n_steps=max(1, min(steps, config["trainer"]["log_every_n_steps"])),
        logger=loggers or False,
        callbacks=callbacks,
        plugins=[SealedCheckpointIO(_description(config))],
        default_root_dir=str(folder),
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=isinstance(progress, ProgressBar),
        enable_checkpointing=training,
    )
    return Parts(datamodule, task, trainer, save_points)


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
        "config": dict(config),
        "classes": config["data"]["class_names"],
        "manifest_sha256": config["manifest"]["sha256"],
        "environment": collect_environment("unknown"),
    }


def report(
    config: Mapping[str, Any],
    folder: Path,
    parts: Parts,
    evaluation: Evaluation,
    began: float,
    timing: Mapping[str, float],
) -> None:
    """Write results, predictions and report, and print the summary; on rank 0 only."""
    if not parts.trainer.is_global_zero:
        return
    wall = time.time() - began
    device = parts.trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    write_results(
        folder,
        config=config,
        evaluation=evaluation,
        manifest=parts.datamodule.manifest,
        device=f"{parts.trainer.world_size} x {name}",
        timing={
            "wall_seconds": wall,
            **timing,
            "evaluate_seconds": evaluation.seconds,
            "data_wait_share": parts.datamodule.wait_seconds / wall,
        },
        unreadable=tuple(parts.task.unreadable.values()),
    )


def _leave(error: VideoclfError, folder: Path, rank: int) -> int:
    """Write the error where the launching process finds it."""
    if os.environ.get("VIDEOCLF_TRACEBACK") == "1":
        sys.excepthook(type(error), error, error.__traceback__)
    said = {
        "kind": type(error).__name__,
        "message": str(error),
        "exit_code": error.exit_code,
        "time": time.time(),
    }
    file = error_file(folder, rank)
    try:
        file.write_text(json.dumps(said), encoding="utf-8")
    except OSError:  # the disk is full: the launcher learns that from the exit code
        file.unlink(missing_ok=True)
        sys.stderr.write(f"{error}\n")
    return error.exit_code


def exit_now(code: int) -> NoReturn:
    """End the process without the interpreter's dismantling of torch: a second of CPU, or more.

    What is registered to run at exit is run; a scheduler may grant few seconds.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    exit_now(main(sys.argv[1:]))
