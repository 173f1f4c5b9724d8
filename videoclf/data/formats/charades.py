"""`data=charades`: Charades (Sigurdsson et al., ECCV 2016, arXiv:1604.01753), whole videos.

`annotations` is the folder of Charades_v1_classes.txt ("c000 Holding some clothes"),
Charades_v1_train.csv and Charades_v1_test.csv, whose column `actions` is
"c092 11.90 21.20;c147 0.00 12.60"; or one charades.json, {"7UPGT": {"subset": "training",
"actions": [[149, 16.0, 22.2], ...]}}. A video has the labels of all its actions, as in the
official classification task. Files are `<id>.mp4`, anywhere below the root.

Tested on charades.json; the tables on rows written to their documented format.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from videoclf.data.formats.annotation_json import read_json
from videoclf.data.formats.annotation_lines import (
    annotation_file,
    annotation_folder,
    decode,
    existing_file,
    read_lines,
    unknown_class,
)
from videoclf.data.formats.annotation_table import read_table
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.formats.video_files import VideoIndex, with_extension
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError

NUM_CLASSES = 157
JSON_FORM = '{"7UPGT": {"subset": "training", "actions": [[149, 16.0, 22.2], ...]}, ...}'


@dataclass(frozen=True, kw_only=True)
class Charades(VideoData):
    """Charades: 9,848 videos of daily life, 157 actions, several in each.

    Args:
        annotations: the folder of the official lists, or a charades.json.
        val_fraction: share of the training list held out as val, by whole subjects where known.
    """

    annotations: str | None
    val_fraction: float

    multi_label: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction)

    def manifest(self) -> Manifest:
        """Read the lists and hold them against the files below `root`.

        Raises:
            ConfigError: a list is missing or a row of it is wrong.
            DataError: the root or videos are missing.
        """
        files = VideoIndex(self.folder(), self.reader)
        if self.annotations is not None and self.annotations.endswith(".json"):
            source = annotation_file(self.annotations, "charades.json")
            class_names = tuple(f"c{class_id:03d}" for class_id in range(NUM_CLASSES))
            listing = _read_json(source, files)
        else:
            source = annotation_folder(self.annotations, "Charades_v1_classes.txt, _train.csv, ...")
            class_names, codes = _read_classes(existing_file(source, "Charades_v1_classes.txt"))
            lists = {s: existing_file(source, f"Charades_v1_{s}.csv") for s in ("train", "test")}
            listing = Listing.joined(
                [_read_list(path, subset, codes, files) for subset, path in lists.items()]
            )
        return assemble(
            listing,
            class_names,
            source=source,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=self.val_fraction,
            multi_label=True,
            torn_groups_allowed=True,  # the official lists stand, whoever appears in them
        )


def _read_classes(path: Path) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the class names, and the id of each code such as c092."""
    names: list[str] = []
    codes: dict[str, int] = {}
    for number, line in read_lines(path):
        code, _, name = line.strip().partition(" ")
        if not name or code in codes:
            raise ConfigError(
                f"{path}:{number}: {line.strip()!r} is not a code of its own and a class name, "
                "such as 'c000 Holding some clothes'"
            )
        codes[code] = len(names)
        names.append(name)
    return tuple(names), codes


def _read_list(path: Path, subset: str, codes: dict[str, int], files: VideoIndex) -> Listing:
    table = read_table(path)
    table.require(["id", "actions"], "id,subject,...,actions,length")
    labels = []
    for row, text in enumerate(table.columns["actions"].to_pylist()):
        names = {action.split()[0] for action in text.split(";") if action.strip()}
        for name in names - codes.keys():
            raise unknown_class(table.where(row), name, tuple(codes))
        labels.append(sorted(codes[name] for name in names))
    ids = table.columns["id"]
    return Listing(
        paths=files.paths_of(ids, with_extension(ids, ".mp4")),
        labels=pa.array(labels, pa.list_(pa.int32())),
        subsets=pa.repeat(subset, len(table)),
        where=table.where,
        groups=table.texts("subject"),
    )


def _read_json(path: Path, files: VideoIndex) -> Listing:
    content = read_json(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: not an object; it holds {JSON_FORM}")
    text = decode(path)
    videos = list(content)

    def where(row: int) -> str:
        line = text.count("\n", 0, text.index(json.dumps(videos[row]))) + 1
        return f"{path}:{line}"

    labels, subsets = [], []
    for row, (video, item) in enumerate(content.items()):
        actions = item.get("actions") if isinstance(item, dict) else None
        if not isinstance(actions, list) or not all(isinstance(a, list) and a for a in actions):
            raise ConfigError(
                f"{where(row)}: {video} has no list of actions; the file holds {JSON_FORM}"
            )
        subset = item.get("subset")
        if subset not in ("training", "testing"):
            raise ConfigError(
                f"{where(row)}: subset {subset!r} of {video} is neither training nor testing; "
                "mend it"
            )
        for class_id, *_ in actions:
            if type(class_id) is not int or not 0 <= class_id < NUM_CLASSES:
                raise ConfigError(
                    f"{where(row)}: label {class_id!r} of {video} is no class id; the "
                    f"{NUM_CLASSES} classes have ids 0 to {NUM_CLASSES - 1}"
                )
        labels.append(sorted({action[0] for action in actions}))
        subsets.append("train" if subset == "training" else "test")
    ids = pa.array(videos, pa.string())
    return Listing(
        paths=files.paths_of(ids, with_extension(ids, ".mp4")),
        labels=pa.array(labels, pa.list_(pa.int32())),
        subsets=pa.array(subsets, pa.string()),
        where=where,
    )
