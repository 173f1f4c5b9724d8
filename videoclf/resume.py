"""Go on with a run in its own folder: `python train.py resume=<run folder>`.

The launching process, without torch, reads the run's own `config.yaml`, chooses the newest of its
checkpoints that is whole, and starts the ranks on it. What a run computes is settled when it
begins, so that only settings which do not change it may be given again.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from videoclf import checkpoint_file, launch
from videoclf.build import build
from videoclf.cache import atomic_write
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError, DataError
from videoclf.global_batch import describe_step
from videoclf.outer_launcher import (
    Place,
    agreed,
    free_port,
    on_several_machines,
    was_started_before,
)
from videoclf.reports.redaction import redact
from videoclf.run_folder import claimed
from videoclf.run_settings import check_run_settings
from videoclf.secrets import find_secrets, hidden_keys
from videoclf.trials import few_videos
from videoclf.whole_checkpoints import newest_checkpoint, set_aside_best

#: Settings that may be given beside `resume`: they change where and how fast, not what.
CHANGEABLE = (
    "checkpoint.asynchronous",
    "checkpoint.every_n_minutes",
    "checkpoint.every_n_steps",
    "checkpoint.keep_every_n_steps",
    "data.annotations",
    "data.flow_folder",
    "data.max_unreadable",
    "data.num_workers",
    "data.root",
    "data.seconds_per_file",
    "seconds_to_stop",
    "seconds_without_progress",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trusted_packages",
)
#: Those that say where the data lie: they are looked through again, and have to be the same.
MOVED = ("data.annotations", "data.flow_folder", "data.root")


def resume(
    folder: Path,
    changes: Mapping[str, Any],
    *,
    began: float,
    place: Place | None = None,
) -> None:
    """Continue a run to its end; say so where it has ended already.

    Args:
        folder: of the run.
        changes: settings given beside `resume`, by key.
        began: when the user's command began, seconds since the epoch.
        place: among processes that another launcher has started.

    Raises:
        ConfigError: no folder of a training run, or a setting that would change the result.
        CheckpointError: it has checkpoints, and all are damaged.
    """
    folder = folder.absolute()
    config = read_run(folder)
    check_changes(changes, hidden=hidden_keys(config))
    check_trust(config, changes)
    whole = changed_config(config, folder, changes)
    check_run_settings(whole)
    if place is not None:  # whatever numbers the run began with, these processes are started
        whole["trainer"] |= {"devices": "auto", "num_nodes": 1}
    ranks = launch.count_ranks(whole["trainer"], place)

    def prepare_to_go_on() -> dict[str, str]:
        if is_finished(folder):
            sys.stdout.write(f"{folder} is finished already; its results are in results.json\n")
            return {"checkpoint": "finished"}
        moved = any(key in changes for key in MOVED)
        checkpoint = _write_changes(folder, whole, ranks, place, moved=moved)
        return {"checkpoint": str(checkpoint or ""), "port": str(free_port())}

    with claimed(folder, place):
        told = agreed(place, prepare_to_go_on)
        if told["checkpoint"] != "finished":
            at = Path(told["checkpoint"]) if told["checkpoint"] else None
            if place is not None and place.max_restarts:
                place = place.meeting_at(told["port"])
            launch.start(
                folder,
                "train",
                ranks=ranks,
                began=began,
                resume_from=at,
                place=place,
                secrets=find_secrets(whole),
                seconds_to_stop=whole.get("seconds_to_stop", 9.0),
            )


def restart(run_dir: str | None, typed: Mapping[str, Any], place: Place, *, began: float) -> bool:
    """Go on with a run whose processes their launcher has started again by the same command.

    Args:
        run_dir: as the command names it.
        typed: what else the command sets, by key.
        place: among the launcher's processes.
        began: when the user's command began, seconds since the epoch.

    Returns:
        False where these are the first processes, or no run had begun; the same on all ranks.

    Raises:
        ConfigError: a restart would not find the run again.
    """
    if place.max_restarts and run_dir is None and "resume" not in typed:
        raise ConfigError(
            f"torchrun --max-restarts={place.max_restarts} goes on only with a run whose folder "
            "the command names; set run_dir=..."
        )
    if not place.max_restarts or run_dir is None:
        return False
    folder = Path(run_dir).absolute()

    def look() -> dict[str, str]:
        before = was_started_before(place, folder) and (folder / "config.yaml").is_file()
        return {"goes_on": "yes" if before else ""}

    if not agreed(place, look)["goes_on"]:
        return False
    needed = {"trusted_packages", *hidden_keys(read_run(folder))}
    changes = {key: value for key, value in typed.items() if key in needed}
    resume(folder, changes, began=began, place=place)
    return True


def _write_changes(
    folder: Path, changed: dict[str, Any], ranks: int, place: Place | None, *, moved: bool
) -> Path | None:
    """Write the config of the rest of a run; return the checkpoint to go on from, if any."""
    checkpoint = newest_checkpoint(folder / "checkpoints")
    set_aside_best(folder / "checkpoints")
    began_with = changed["data"]["batch_size"]
    size, passes = share_of_step(changed, ranks)
    changed["data"]["batch_size"] = size
    changed["trainer"]["accumulate_grad_batches"] = passes
    changed["global_batch_size"] = size * ranks
    find_data(changed, moved=moved, folder=folder if on_several_machines(place) else None)
    with atomic_write(folder / "config.yaml") as temporary:
        text = yaml.safe_dump(redact(changed), sort_keys=False, allow_unicode=True, width=100)
        temporary.write_text(text, encoding="utf-8")
    if size != began_with:
        sys.stderr.write(f"{describe_step(changed, ranks=ranks)}\n")
    where = "the beginning; there is no checkpoint yet"
    if checkpoint is not None:
        at = checkpoint_file.describe(checkpoint)["progress"]
        where = f"{checkpoint.name}: epoch {at['epoch'] + 1}, batch {at['batch'] + 1}"
        if at["epoch"] >= changed["trainer"]["max_epochs"]:
            where = f"{checkpoint.name}: the training is done, its evaluation is left"
    sys.stderr.write(f"going on with {folder} from {where}\n")
    return checkpoint


def read_run(folder: Path) -> dict[str, Any]:
    """Return the resolved config of a training run.

    Raises:
        ConfigError: the folder holds none.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        why = "has no config.yaml" if folder.is_dir() else "does not exist"
        why = "is a file" if folder.is_file() else why
        raise ConfigError(
            f"resume={folder} {why}; give the folder of a run, such as runs/<name>/<date>_<time>"
        )
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict) or not {"checkpoint", "run_dir", "manifest"} <= set(config):
        raise ConfigError(f"resume={folder} is not the folder of a training run; evaluate it anew")
    return config


def is_finished(folder: Path) -> bool:
    """Return whether the run has left its last two files."""
    return all((folder / name).is_file() for name in ("results.json", "report.html"))


def check_changes(
    changes: Mapping[str, Any],
    *,
    hidden: Sequence[str] = (),
    changeable: Sequence[str] = CHANGEABLE,
) -> None:
    """Refuse what would make another run of it.

    Args:
        changes: by key.
        hidden: keys of secrets, which the run's own config does not hold.
        changeable: keys that may be set.

    Raises:
        ConfigError: such a setting, or a secret is not given; the text names the key.
    """
    for key in hidden:
        if key not in changes:
            raise ConfigError(
                f"{key} is hidden in the run's config.yaml; give it again beside resume: {key}=..."
            )
    for key in changes:
        if key not in (*changeable, *hidden):
            near = difflib.get_close_matches(key, changeable, n=1, cutoff=0.85)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise ConfigError(
                f"{key} cannot be set beside resume: a run goes on with its own settings{meant}; "
                "leave it out, or start a new run"
            )


def check_trust(config: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Let a run folder, which may be somebody else's, not say itself which packages are trusted.

    Raises:
        ConfigError: it names some, and the command does not.
    """
    named = config.get("trusted_packages") or []
    again = changes.get("trusted_packages") or []
    missing = [package for package in named if package not in again]
    if missing:
        raise ConfigError(
            f"the run was started with trusted_packages=[{','.join(map(str, named))}], whose code "
            "going on would run; if you trust them, give that again beside resume"
        )


def changed_config(
    config: Mapping[str, Any], folder: Path, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the config with the changes, and with the folder's name where it was moved."""
    changed: dict[str, Any] = _replaced(config, old=config["run_dir"], new=str(folder))
    for key, value in changes.items():
        *groups, name = key.split(".")
        node = changed
        for group in groups:
            node = node[group]
        node[name] = value
    changed["data"]["root"] = str(Path(changed["data"]["root"]).absolute())
    return changed


def _replaced(node: Any, *, old: str, new: str) -> Any:
    """Copy plain data, every text that is `old` replaced."""
    if isinstance(node, Mapping):
        return {key: _replaced(value, old=old, new=new) for key, value in node.items()}
    if isinstance(node, list):
        return [_replaced(value, old=old, new=new) for value in node]
    return new if node == old else node


def share_of_step(config: Mapping[str, Any], ranks: int) -> tuple[int, int]:
    """Return the videos of a rank's batch, and how many batches a step accumulates.

    Together they keep the videos of a step. A rank's batch does not grow where the run asks for a
    global batch, `data.global_batch_size`, whose steps may be made of any number of passes.

    Raises:
        ConfigError: so many ranks cannot share a step evenly.
    """
    size: int = config["data"]["batch_size"]
    passes: int = config["trainer"]["accumulate_grad_batches"]
    together: int = config["global_batch_size"]  # of all ranks in one pass
    share, left = divmod(together, ranks)
    any_passes = config["data"].get("global_batch_size") is not None
    if share and not left and (share <= size or not any_passes):
        return share, passes
    share, left = divmod(together * passes if any_passes else together, ranks)
    if left or not share:
        videos = together * passes
        each = f" in {passes} batches, each" if passes > 1 and not any_passes else ""
        raise ConfigError(
            f"the run trains on {videos} videos a step,{each} which {ranks} ranks cannot share "
            "evenly; choose trainer.devices so that they can"
        )
    size = max(number for number in range(1, min(size, share) + 1) if share % number == 0)
    return size, share // size


def find_data(config: dict[str, Any], *, moved: bool, folder: Path | None = None) -> None:
    """Check the data settings; build the manifest again where its file is gone or the data moved.

    Args:
        config: of the run; the manifest's path may change.
        moved: the data are said to lie elsewhere now.
        folder: of a run on several machines, all of which can read the manifest there only.

    Raises:
        ConfigError: a wrong value, or these are not the data that the run began with.
        DataError: the root or files are missing.
    """
    data: VideoData = build(
        config["data"], name="data", trusted_packages=config["trusted_packages"]
    )
    data.folder()
    path = Path(config["manifest"]["path"])
    if path.is_file() and not moved and folder in (None, path.parent):
        return
    manifest: Manifest = data.manifest()
    if config.get("overfit") is not None:
        manifest = few_videos(manifest, config["overfit"])
    if manifest.sha256 != config["manifest"]["sha256"]:
        raise DataError(
            f"the data below {config['data']['root']} are not those that the run began with: "
            "files or annotations have changed; bring them back, or start a new run"
        )
    config["manifest"]["path"] = str(manifest.save(folder))
