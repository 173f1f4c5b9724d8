"""Go on with a run in its own folder: `python train.py resume=<run folder>`.

The launching process, without torch, reads the run's own `config.yaml`, chooses the newest of its
checkpoints that is whole, and starts the ranks on it. What a run computes is settled when it
begins, so that only settings which do not change it may be given again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from videoclf import checkpoint_file, launch
from videoclf.build import build, nearest
from videoclf.cache import atomic_write
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import CheckpointError, ConfigError, DataError
from videoclf.outer_launcher import Place, agreed
from videoclf.reports.redaction import redact
from videoclf.run_folder import claimed
from videoclf.secrets import find_secrets, hidden_keys
from videoclf.trials import few_videos

#: Settings that may be given beside `resume`: they change where and how fast, not what.
CHANGEABLE = (
    "checkpoint.asynchronous",
    "checkpoint.every_n_minutes",
    "checkpoint.every_n_steps",
    "checkpoint.keep_every_n_steps",
    "data.max_unreadable",
    "data.num_workers",
    "data.root",
    "data.seconds_per_file",
    "seconds_without_progress",
    "trainer.accelerator",
    "trainer.devices",
    "trusted_packages",
)


def resume(
    folder: Path, changes: Mapping[str, Any], *, began: float, place: Place | None = None
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
    ranks = launch.count_ranks(whole["trainer"], place)

    def prepare_to_go_on() -> dict[str, str]:
        if is_finished(folder):
            sys.stdout.write(f"{folder} is finished already; its results are in results.json\n")
            return {"checkpoint": "finished"}
        return {"checkpoint": str(_write_changes(folder, config, changes, ranks) or "")}

    with claimed(folder, place):
        checkpoint = agreed(place, prepare_to_go_on)["checkpoint"]
        if checkpoint != "finished":
            at = Path(checkpoint) if checkpoint else None
            launch.start(
                folder,
                "train",
                ranks=ranks,
                began=began,
                resume_from=at,
                place=place,
                secrets=find_secrets(whole),
            )


def _write_changes(
    folder: Path, config: Mapping[str, Any], changes: Mapping[str, Any], ranks: int
) -> Path | None:
    """Write the config of the rest of a run; return the checkpoint to go on from, if any."""
    checkpoint = newest_checkpoint(folder / "checkpoints")
    changed = changed_config(config, folder, changes)
    changed["data"]["batch_size"] = share_of_batch(config, ranks)
    find_data(changed, moved="data.root" in changes)
    with atomic_write(folder / "config.yaml") as temporary:
        text = yaml.safe_dump(redact(changed), sort_keys=False, allow_unicode=True, width=100)
        temporary.write_text(text, encoding="utf-8")
    where = "the beginning; there is no checkpoint yet"
    if checkpoint is not None:
        at = checkpoint_file.describe(checkpoint)["progress"]
        where = f"{checkpoint.name}: epoch {at['epoch'] + 1}, batch {at['batch'] + 1}"
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
        raise ConfigError(
            f"resume={folder} {why}; give the folder of a run, such as runs/<name>/<date>_<time>"
        )
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict) or "checkpoint" not in config:
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
            raise ConfigError(
                f"{key} cannot be set beside resume: a run goes on with its own settings"
                f"{nearest(key, changeable)}; leave it out, or start a new run"
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


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the most steps that is whole; None where there never was one.

    Damaged ones are named on stderr.

    Raises:
        CheckpointError: all are damaged.
    """
    found: list[tuple[int, bool, Path]] = []
    damaged: list[str] = []
    for path in sorted(folder.glob("*.ckpt")):
        try:
            progress = checkpoint_file.describe(path)["progress"]
        except CheckpointError as error:
            damaged.append(str(error).rpartition(";")[0])
            continue
        found.append((progress["step"], path.name == "last.ckpt", path))
    newest = max(found)[2] if found else None
    if newest is None and damaged:
        raise CheckpointError(f"{'; '.join(damaged)}; no other is left, so start a new run")
    for sentence in damaged:
        sys.stderr.write(f"warning: {sentence}; using {newest} instead\n")
    return newest


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


def share_of_batch(config: Mapping[str, Any], ranks: int) -> int:
    """Return the videos a rank and step that keep the run's global batch.

    Raises:
        ConfigError: it cannot be shared evenly.
    """
    size: int = config["global_batch_size"]
    if size % ranks:
        raise ConfigError(
            f"the run trains on {size} videos a step, which {ranks} ranks cannot share evenly; "
            "choose trainer.devices so that they can"
        )
    return size // ranks


def find_data(config: dict[str, Any], *, moved: bool) -> None:
    """Check the data settings; build the manifest again where its file is gone or the root moved.

    Raises:
        ConfigError: a wrong value, or these are not the data that the run began with.
        DataError: the root or files are missing.
    """
    data: VideoData = build(
        config["data"], name="data", trusted_packages=config["trusted_packages"]
    )
    data.folder()
    if Path(config["manifest"]["path"]).is_file() and not moved:
        return
    manifest: Manifest = data.manifest()
    if config.get("overfit") is not None:
        manifest = few_videos(manifest, config["overfit"])
    if manifest.sha256 != config["manifest"]["sha256"]:
        raise DataError(
            f"the data below {config['data']['root']} are not those that the run began with: "
            "files or annotations have changed; bring them back, or start a new run"
        )
    config["manifest"]["path"] = str(manifest.save())
