"""Go on with an evaluation in its own folder: `python evaluate.py resume=<run folder>`.

The launching process, without torch, reads the run's own `config.yaml` and looks through what a
killed evaluation has stored (`videoclf.evaluation.parts`): damaged parts are done again, and parts
of another evaluation are refused. Only settings that change where and how fast may be given again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from videoclf import checkpoint_file, launch
from videoclf.build import build
from videoclf.cache import atomic_write
from videoclf.config_from_checkpoint import with_classes
from videoclf.data.source import VideoData
from videoclf.errors import CheckpointError, ConfigError, DataError
from videoclf.evaluation.identity import CHANGEABLE, identity
from videoclf.outer_launcher import Place, agreed, on_several_machines
from videoclf.reports.redaction import redact
from videoclf.resume import MOVED, changed_config, check_changes, check_trust, is_finished
from videoclf.run_folder import claimed
from videoclf.run_settings import check_run_settings
from videoclf.secrets import find_secrets, hidden_keys


def resume_evaluation(
    folder: Path, changes: Mapping[str, Any], *, began: float, place: Place | None = None
) -> None:
    """Continue an evaluation to its end; say so where it has ended already.

    Args:
        folder: of the run.
        changes: settings given beside `resume`, by key.
        began: when the user's command began, seconds since the epoch.
        place: among processes that another launcher has started.

    Raises:
        ConfigError: no folder of an evaluation, a setting that would change the result, or parts
            of an evaluation with other settings.
        CheckpointError: the checkpoint is another one now.
        DataError: the data are.
    """
    folder = folder.absolute()
    config = _read_run(folder)
    check_changes(changes, hidden=hidden_keys(config), changeable=CHANGEABLE)
    check_trust(config, changes)
    changed = changed_config(config, folder, changes)
    check_run_settings(changed)
    if place is not None:
        changed["trainer"] |= {"devices": "auto", "num_nodes": 1}
    ranks = launch.count_ranks(changed["trainer"], place)

    def prepare_to_go_on() -> dict[str, str]:
        if is_finished(folder):
            sys.stdout.write(f"{folder} is finished already; its results are in results.json\n")
            return {"finished": ""}
        moved = any(key in changes for key in MOVED)
        _find_data(changed, moved=moved, folder=folder if on_several_machines(place) else None)
        with atomic_write(folder / "config.yaml") as temporary:
            text = yaml.safe_dump(redact(changed), sort_keys=False, allow_unicode=True, width=100)
            temporary.write_text(text, encoding="utf-8")
        return {"finished": str(_list_parts(folder / "parts", identity(changed)))}

    with claimed(folder, place):
        finished = agreed(place, prepare_to_go_on)["finished"]
        if finished:
            listed = Path(finished)
            launch.start(
                folder,
                "evaluate",
                ranks=ranks,
                began=began,
                resume_from=listed,
                place=place,
                secrets=find_secrets(changed),
            )


def _read_run(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    if not path.is_file():
        why = "has no config.yaml" if folder.is_dir() else "does not exist"
        raise ConfigError(
            f"resume={folder} {why}; give the folder of an evaluation, such as "
            "runs/<name>/<date>_<time>"
        )
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict) or "checkpoint_file" not in config:
        raise ConfigError(
            f"resume={folder} is not the folder of an evaluation of a checkpoint; a training goes "
            "on by train.py resume=..."
        )
    if config.get("members"):
        raise ConfigError(
            f"resume={folder} is of an ensemble, which is joined from whole evaluations; go on "
            f"with its members below {folder / 'members'}, or start it anew"
        )
    return config


def _find_data(config: dict[str, Any], *, moved: bool, folder: Path | None) -> None:
    """Build the manifest again where its file is gone or the data moved; hold it against the old.

    Of a run on several machines `folder` is that of the run, which all of them can read.

    Raises:
        ConfigError: a wrong value.
        DataError: the root or files are missing, or these are other data.
    """
    trusted = config["trusted_packages"]
    data: VideoData = build(config["data"], name="data", trusted_packages=trusted)
    data.folder()
    began_with = config["manifest"]["sha256"]
    path = Path(config["manifest"]["path"])
    if path.is_file() and not moved and folder in (None, path.parent):
        return
    manifest = data.manifest()
    config["manifest"] = {"path": str(manifest.save(folder)), "sha256": manifest.sha256}
    known = config["data"]["class_names"]  # the network's, whose ids the manifest had
    if with_classes(config, known, of="the evaluation")["manifest"]["sha256"] != began_with:
        raise DataError(
            f"the data below {config['data']['root']} are not those that the evaluation began "
            "with: files or annotations have changed; bring them back, or start a new evaluation"
        )


def _list_parts(folder: Path, own: Mapping[str, str]) -> Path:
    """Write which parts are whole, for the ranks; remove damaged ones, and say so.

    Raises:
        CheckpointError: a part was computed with another checkpoint.
        DataError: of another manifest.
        ConfigError: with other settings.
    """
    whole, last_start = [], -1
    for path in sorted(folder.glob("[0-9]*.part")):
        last_start = max(last_start, int(path.name.split("-")[0]))
        try:
            stored = checkpoint_file.describe(path)["identity"]
        except CheckpointError:
            sys.stderr.write(f"warning: {path} is damaged; its videos are evaluated again\n")
            path.unlink()
            continue
        _compare(stored, own, folder)
        whole.append(path.name)
    listed = folder / "finished.json"
    with atomic_write(listed) as temporary:
        content = {"start": last_start + 1, "parts": whole}
        temporary.write_text(json.dumps(content), encoding="utf-8")
    where = f"{len(whole)} stored part(s)" if whole else "the beginning; nothing is stored yet"
    sys.stderr.write(f"going on with {folder.parent} from {where}\n")
    return listed


def _compare(stored: Mapping[str, str], own: Mapping[str, str], folder: Path) -> None:
    other = [name for name in own if stored.get(name) != own[name]]
    if not other:
        return
    error = {"checkpoint": CheckpointError, "manifest": DataError}.get(other[0], ConfigError)
    raise error(
        f"{folder} holds videos that were evaluated with another {', '.join(other)} than "
        f"{folder.parent / 'config.yaml'} names now; bring it back, or start a new evaluation"
    )
