"""`evaluate.py 'checkpoint=[a.ckpt,b.ckpt]'`: each checkpoint in a folder of its own, then joined.

A member is evaluated as if it were alone: with its own model, frames and crops, on the same
records, or in a cascade on those that the members before it leave unsure. What is joined are the
stored predictions (`videoclf.evaluation.joined`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoclf import launch
from videoclf.build import build
from videoclf.config import plain, prepare, task_overrides, write_config
from videoclf.config_from_checkpoint import align_classes, compose_member, read_config
from videoclf.data.manifest import Manifest
from videoclf.evaluation.asked import ASKED, narrowed, read_asked
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
        subsets.insert(0, ensemble.fit_subset)  # a cascade needs its threshold to go on
    for checkpoint in config["members"]:  # a mistake is said before the first takes its time
        read_config(Path(checkpoint))
    done: dict[str, list[str]] = {}
    for subset in subsets:
        for number, checkpoint in enumerate(config["members"], start=1):
            narrows = ensemble.fusion == "cascade" and subset == config["subset"] and number > 1
            if narrows:
                write_config({**config, "member_folders": done}, folder)
                launch.start(folder, "ask", ranks=1, began=began)
            place = folder / "members" / f"{number}_{subset}"
            _evaluate_member(
                place,
                checkpoint,
                subset,
                asked=folder / ASKED if narrows else None,
                ranks=ranks,
                began=began,
            )
            done.setdefault(subset, []).append(str(place))
    (folder / ASKED).unlink(missing_ok=True)
    return done


def _evaluate_member(
    place: Path, checkpoint: str, subset: str, *, asked: Path | None, ranks: int, began: float
) -> None:
    """Evaluate one checkpoint on a subset, or on the videos of it that are asked, if any."""
    overrides = [
        text
        for text in task_overrides()
        if text.lstrip("+~").partition("=")[0].split(".")[0] not in _OWN
    ]
    place.mkdir(parents=True)
    composed = compose_member(checkpoint, [*overrides, f"subset={subset}"])
    member = align_classes(prepare(composed, place, ranks=ranks, subsets=(subset,)))
    on = subset
    if asked is not None:
        wanted, whole = read_asked(asked), Manifest.open(member["manifest"]["path"])
        on = f"the {len(wanted)} of {whole.counts()[subset]} videos of {subset} that are unsure"
        manifest = narrowed(whole, subset, wanted)
        member["manifest"] = {"path": str(manifest.save()), "sha256": manifest.sha256}
    write_config(member, place)
    sys.stderr.write(f"{checkpoint} on {on}\n")
    if asked is None or wanted:
        secrets = find_secrets(plain(composed))
        launch.start(place, "evaluate", ranks=ranks, began=began, secrets=secrets)
