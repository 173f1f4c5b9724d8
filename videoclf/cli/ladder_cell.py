"""One cell of the ladder: what `train.py` does, in a process forked from one that has imported it.

Importing torch and Lightning takes longer than many a cell trains; a fork server imports them
once. Everything else is an ordinary run in an ordinary run folder.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra  # noqa: F401 (forked with it)
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import videoclf.run
from videoclf.config import CONF, prepare, write_config
from videoclf.errors import VideoclfError, end_with
from videoclf.global_batch import settle_global_batch
from videoclf.launch import error_file


def train_cell(overrides: Sequence[str], folder: str, log: str) -> None:
    """Train and test one cell, and end the process with the exit code of `train.py`.

    Args:
        overrides: as on the command line of `train.py`.
        folder: of the run; empty or not there yet.
        log: file for whatever is printed.
    """
    with open(log, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    words = [*overrides, f"run_dir={folder}"]
    sys.orig_argv = ["python", "train.py", *words]  # the command that repeats this run
    try:
        _compose(words, Path(folder))
    except VideoclfError as error:
        videoclf.run.exit_now(end_with(str(error), error.exit_code))
    code = videoclf.run.main(["train", folder])
    left = error_file(Path(folder), 0)
    if left.exists():
        sys.stderr.write(f"error: {json.loads(left.read_text(encoding='utf-8'))['message']}\n")
    videoclf.run.exit_now(code)


def _compose(words: Sequence[str], folder: Path) -> None:
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        config = compose("train", overrides=list(words), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    OmegaConf.set_struct(config, True)
    folder.mkdir(parents=True, exist_ok=True)
    prepared = prepare(config, folder, ranks=1, subsets=("train", "val"))
    write_config(settle_global_batch(prepared, ranks=1), folder)
