"""Evaluate a checkpoint on many views: read its config, compose, start the rank(s).

python evaluate.py checkpoint=runs/x/checkpoints/best.ckpt [views.num_clips=10 views.num_crops=3]
python evaluate.py 'checkpoint=[rgb.ckpt,flow.ckpt]' 'ensemble.weights=[1,1.5]'
python evaluate.py model.weights=torchvision:R3D_18/KINETICS400_V1 data=kinetics400 ...
python evaluate.py predictions=runs/x/predictions.parquet
python evaluate.py 'predictions=[runs/x,runs/y]' ensemble.fusion=vote
python evaluate.py 'predictions={verb: runs/v, noun: runs/n}'
python evaluate.py resume=runs/x
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # while modules are imported, Ctrl-C ends without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what went wrong instead of printing it

import hydra
from omegaconf import DictConfig

from videoclf import launch
from videoclf.config import (
    CONF,
    command_line,
    default_name,
    own_settings,
    plain,
    prepare,
    spelled_out,
    task_overrides,
    values_by_key,
    write_config,
)
from videoclf.config_errors import run_entry_point
from videoclf.config_from_checkpoint import align_classes, offer_checkpoint_options, refuse_ensemble
from videoclf.config_from_weights import align_to_weights, keys_of, offer_weights_settings
from videoclf.errors import ConfigError
from videoclf.members import evaluate_members
from videoclf.outer_launcher import agreed, find_place
from videoclf.resume_evaluation import resume_evaluation
from videoclf.run_folder import claimed, run_folder
from videoclf.run_settings import check_run_settings
from videoclf.secrets import find_secrets


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="evaluate")
def evaluate(config: DictConfig) -> None:
    """One job: everything that needs no torch, then the ranks as fresh processes."""
    began = time.time()
    place = find_place()
    check_run_settings(own_settings(config))
    ranks = launch.count_ranks(config.trainer, place)

    if config.members and place is not None:
        raise ConfigError("an ensemble is evaluated from one process; leave the launcher out")
    prepared: dict[str, Any] = {}

    def make_folder() -> dict[str, str]:
        with run_folder(config.run_dir, config.name or default_name()) as folder:
            own = prepare(config, folder, ranks=ranks, place=place, subsets=(config.subset,))
            prepared.update(align_to_weights(own) if config.weights else align_classes(own))
            write_config(prepared, folder)
        return {"folder": str(folder)}

    folder = Path(agreed(place, make_folder)["folder"])
    if config.members:
        evaluated = evaluate_members(folder, prepared, ranks=ranks, began=began)
        write_config({**prepared, "member_folders": evaluated}, folder)
        launch.start(folder, "ensemble", ranks=1, began=began)
        return
    with claimed(folder, place):
        secrets = find_secrets(plain(config))
        launch.start(folder, "evaluate", ranks=ranks, began=began, place=place, secrets=secrets)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="predictions")
def evaluate_stored(config: DictConfig) -> None:
    """One job without a model: every metric and the report from stored predictions."""
    began = time.time()
    settings = {**plain(config), "command": command_line()}
    if not isinstance(settings["predictions"], list):
        refuse_ensemble(task_overrides(), "predictions", "'predictions=[runs/a,runs/b]'")
    with run_folder(config.run_dir, config.name) as folder:
        write_config(settings, folder)
    launch.start(folder, "predictions", ranks=1, began=began)


def of_stored() -> bool:
    """Return whether stored predictions are measured instead of a checkpoint."""
    return any(text.startswith("predictions=") for text in sys.argv[1:])


def main() -> None:
    """Offer the checkpoint's settings to Hydra, then compose."""
    if of_stored():
        evaluate_stored()
        return
    if any(text.startswith("resume=") for text in sys.argv[1:]):
        changes = values_by_key(spelled_out(sys.argv[1:]))
        folder = Path(str(changes.pop("resume")))
        resume_evaluation(folder, changes, began=time.time(), place=find_place())
        return
    sys.argv = offer_weights_settings(spelled_out(sys.argv))
    if "weights" not in keys_of(sys.argv):
        sys.argv = offer_checkpoint_options(sys.argv)
    evaluate()


if __name__ == "__main__":
    sys.exit(run_entry_point(main, "predictions" if of_stored() else "evaluate"))
