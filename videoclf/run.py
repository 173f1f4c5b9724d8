"""One rank of a run: manifest -> build -> fit -> evaluate -> report.

Started by `videoclf.launch` as `python -m videoclf.run train|evaluate <run folder>`, with a third
argument where it goes on: a checkpoint of the run, or the list of an evaluation's stored parts.
Reads the folder's resolved `config.yaml`, and leaves its error, if any, for the launching process.
"""

from __future__ import annotations

import atexit
import errno
import gc
import json
import logging
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":
    gc.disable()  # what is imported stays: a rank starts a second sooner with no search for garbage
    # until its signals are handled, one ends the rank without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import pytorch_lightning as pl
import torch
import yaml
from lightning_fabric.utilities.exceptions import MisconfigurationException

from videoclf.assembly import Parts, assemble
from videoclf.build import build
from videoclf.checkpoints import load_model
from videoclf.ensemble import find_asked, join_members
from videoclf.errors import CheckpointError, ConfigError, StorageError, VideoclfError
from videoclf.evaluation.asked import ASKED
from videoclf.evaluation.evaluator import Evaluation, evaluate
from videoclf.evaluation.identity import identity
from videoclf.evaluation.inference import Inference
from videoclf.evaluation.parts import Parts as StoredParts
from videoclf.evaluation.stored import evaluate_stored
from videoclf.evaluation.stored_actions import evaluate_actions
from videoclf.launch import error_file
from videoclf.loggers.pictures import log_evaluation
from videoclf.parent import die_with_parent
from videoclf.reports.writer import write_results
from videoclf.secrets import reveal
from videoclf.standstill import Marks
from videoclf.stop_signals import Stopped, StopSignals
from videoclf.trials import end_dry_run
from videoclf.weights.loading import load_entry

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


def main(arguments: Sequence[str]) -> int:
    """Run one rank; return its exit code."""
    kind, folder = arguments[0], Path(arguments[1])
    resume_from = Path(arguments[2]) if len(arguments) > 2 else None
    stop = StopSignals()
    stop.install()
    launcher = os.environ.get("VIDEOCLF_LAUNCHER")
    die_with_parent(None if launcher is None else int(launcher))
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
    config = reveal(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    began = float(os.environ.get("VIDEOCLF_BEGAN", time.time()))
    if kind == "ensemble":
        join_members(config, folder, began)
        return
    if kind == "ask":
        find_asked(config, folder / ASKED)
        return
    if kind == "predictions":
        by_target = isinstance(config["predictions"], Mapping)
        (evaluate_actions if by_target else evaluate_stored)(config, folder, began)
        return
    marks = Marks(folder, int(os.environ.get("RANK", "0")))
    parts = assemble(
        config,
        folder,
        training=kind == "train",
        stop=stop,
        began=began,
        resume_from=resume_from,
        marks=marks,
    )
    watchdog = parts.datamodule.watchdog
    watchdog.give_up = partial(_leave, folder=folder, rank=parts.trainer.global_rank)
    with watchdog.explaining():
        if kind == "train":
            train(config, folder, parts, began, resume_from)
        else:
            test(config, folder, parts, began, resume_from)


def train(
    config: Mapping[str, Any], folder: Path, parts: Parts, began: float, resume_from: Path | None
) -> None:
    """Fit, then evaluate the best checkpoint once on the test list, then report."""
    assert parts.save_points is not None
    parts.trainer.fit(parts.task, datamodule=parts.datamodule, ckpt_path=resume_from)
    if config.get("dry_run"):
        parts.trainer.strategy.barrier()
        if parts.trainer.is_global_zero:
            end_dry_run(folder)
        return
    train_seconds = parts.save_points.train_seconds
    load_model(_best(folder / "checkpoints", parts.trainer), parts.task.model)
    subset = "test" if parts.datamodule.manifest.counts()["test"] else "val"
    evaluation = evaluate(parts.trainer, parts.task, parts.datamodule, subset)
    plan = parts.datamodule.plan
    batches = parts.trainer.num_training_batches  # of an epoch, if all have the same number
    if plan is not None:
        batches = plan.units * parts.datamodule.passes
    batches *= parts.trainer.current_epoch
    videos = batches * parts.datamodule.batch_size * parts.trainer.world_size
    clips = videos * parts.datamodule.clips_per_video
    timing = {"train_seconds": train_seconds, "clips_per_second": clips / train_seconds}
    began -= parts.save_points.earlier_seconds
    report(config, folder, parts, evaluation, began, timing)


def _best(checkpoints: Path, trainer: pl.Trainer) -> Path:
    """Return the checkpoint to evaluate: the last one where the best was lost to damage.

    Raises:
        CheckpointError: there is neither.
    """
    best, last = checkpoints / "best.ckpt", checkpoints / "last.ckpt"
    if not best.exists() and last.exists():
        if trainer.is_global_zero:
            sys.stderr.write(f"warning: there is no {best}; {last.name} is evaluated instead\n")
        return last
    if not best.exists():
        raise CheckpointError(f"the run wrote no {best}; look at checkpoint.monitor")
    return best


def test(
    config: Mapping[str, Any], folder: Path, parts: Parts, began: float, finished: Path | None
) -> None:
    """Evaluate a checkpoint, or published weights, by the config's views, then report.

    `finished` lists what earlier starts have stored.
    """
    if config.get("weights"):
        classes = config["data"]["class_names"]
        load_entry(config["weights"], parts.task.model, class_names=classes, whole=True)
    else:
        head_of = config.get("head_of", "new")
        load_model(Path(config["checkpoint_file"]), parts.task.model, head_of=head_of)
    inference: Inference = build(config["inference"], name="inference")
    stored = StoredParts(
        folder / "parts",
        identity=identity(config),
        every_seconds=inference.save_every_seconds,
        rank=parts.trainer.global_rank,
        finished=finished,
    )
    evaluation = evaluate(
        parts.trainer,
        parts.task,
        parts.datamodule,
        config["subset"],
        inference=inference,
        parts=stored,
    )
    videos = len(evaluation.scores.rows) - len(stored.rows)
    views = videos * parts.datamodule.views["test"].num_views
    timing = {"clips_per_second": views / evaluation.seconds}
    report(config, folder, parts, evaluation, began, timing)
    if parts.trainer.is_global_zero:
        stored.remove()


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
    if parts.marks is not None:  # nobody waits for a report
        parts.marks.put("writing the report", None)
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
    log_evaluation(
        parts.trainer.loggers,
        folder,
        metrics=evaluation.metrics,
        root=parts.datamodule.folder,
        step=parts.trainer.global_step,
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
    gc.freeze()  # nor is it looked through again, here and in the loader's processes
    gc.enable()
    atexit.register(gc.unfreeze)  # else some extensions complain of what is left at the end
    exit_now(main(sys.argv[1:]))
