"""Train a video classifier: compose the config, make the run folder, start the rank(s).

python train.py [model=slow_fusion] [data=moving_shapes] [key=value ...] [-m for a sweep]
python train.py resume=<run folder>
torchrun --nproc-per-node=8 train.py ...
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":  # while modules are imported, Ctrl-C ends without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what went wrong instead of printing it

import hydra
from omegaconf import DictConfig

from videoclf import launch
from videoclf.config import (
    CONF,
    changes_beside,
    default_name,
    in_sweep,
    own_settings,
    plain,
    prepare,
    spelled_out,
    write_config,
)
from videoclf.config_errors import run_entry_point
from videoclf.config_from_weights import offer_weights_settings, with_source_classes
from videoclf.errors import ConfigError, VideoclfError
from videoclf.global_batch import describe_step, settle_global_batch
from videoclf.outer_launcher import agreed, find_place
from videoclf.resume import restart, resume
from videoclf.run_folder import claimed, discard, run_folder
from videoclf.run_settings import check_run_settings
from videoclf.secrets import find_secrets
from videoclf.sweep_value import sweep_value


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def train(config: DictConfig) -> float | None:
    """One job: everything that needs no torch, then the ranks as fresh processes.

    Returns what a sweeper compares jobs by.
    """
    began = time.time()
    place = find_place()
    if place is not None and restart(config.run_dir, changes_beside("run_dir"), place, began=began):
        return None
    if config.resume is not None:
        resume(Path(config.resume), changes_beside("resume"), began=began, place=place)
        return None
    check_run_settings(own_settings(config))
    ranks = launch.count_ranks(config.trainer, place, in_sweep=in_sweep())

    def make_folder() -> dict[str, str]:
        with run_folder(config.run_dir, config.name or default_name()) as folder:
            prepared = prepare(config, folder, ranks=ranks, place=place, subsets=("train", "val"))
            settled = settle_global_batch(with_source_classes(prepared), ranks=ranks)
            sys.stderr.write(f"{describe_step(settled, ranks=ranks)}\n")
            write_config(settled, folder)
        return {"folder": str(folder)}

    folder = Path(agreed(place, make_folder)["folder"])
    with claimed(folder, place):
        secrets = find_secrets(plain(config))
        try:
            launch.start(
                folder,
                "train",
                ranks=ranks,
                began=began,
                place=place,
                secrets=secrets,
                seconds_to_stop=config.seconds_to_stop,
            )
        except VideoclfError as error:
            if error.exit_code == ConfigError.exit_code and (place is None or not place.rank):
                discard(folder)
            raise
    return sweep_value(folder, config.checkpoint)


def main() -> None:
    """Compose, with `model.weights=` as what it stands for, and its card's settings."""
    sys.argv = offer_weights_settings(spelled_out(sys.argv))
    train()


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
