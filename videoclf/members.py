"""`evaluate.py 'checkpoint=[a.ckpt,b.ckpt]'`: each checkpoint in a folder of its own, then joined.

A member is evaluated as if it were alone: with its own model, frames and crops, on the same
records. What is joined are the stored predictions (`videoclf.evaluation.joined`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoclf import launch
from videoclf.build import build
from videoclf.config import plain, prepare, task_overrides, write_config
from videoclf.config_from_checkpoint import align_classes, compose_member
from videoclf.evaluation.ensemble import Ensemble
from videoclf.secrets import find_secrets

#: Overrides that concern the ensemble as a whole.
_OWN = ("ensemble", "members", "checkpoint_file", "run_dir", "name", "subset")


def evaluate_members(
    folder: Path, config: Mapping[str, Any], *, ranks: int, began: float
) -> dict[str, list[str]]:
    """Evaluate every checkpoint on the subset, and on the one that a fusion is fitted on.

    Args:
        folder: of the run.
        config: of the ensemble, resolved.
        ranks: processes.
        began: time of the start, in seconds since the epoch.

    Returns:
        Folders of the members' evaluations, by subset.

    Raises:
        VideoclfError: whatever a single evaluation raises.
    """
    ensemble: Ensemble = build(config["ensemble"], name="ensemble")
    ensemble.check_members(len(config["members"]))
    subsets = [config["subset"]]
    ensemble.check_subset(config["subset"])
    if ensemble.fitted:
        subsets.append(ensemble.fit_subset)
    done: dict[str, list[str]] = {}
    overrides = [
        text
        for text in task_overrides()
        if text.lstrip("+~").partition("=")[0].split(".")[0] not in _OWN
    ]
    for subset in dict.fromkeys(subsets):
        for number, checkpoint in enumerate(config["members"], start=1):
            place = folder / "members" / f"{number}_{subset}"
            done.setdefault(subset, []).append(str(place))
            sys.stderr.write(f"{checkpoint} on {subset}\n")
            place.mkdir(parents=True)
            member = compose_member(checkpoint, [*overrides, f"subset={subset}"])
            prepared = prepare(member, place, ranks=ranks, subsets=(subset,))
            write_config(align_classes(prepared), place)
            secrets = find_secrets(plain(member))
            launch.start(place, "evaluate", ranks=ranks, began=began, secrets=secrets)
    return done
