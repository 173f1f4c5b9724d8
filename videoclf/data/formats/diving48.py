"""`data=diving48`: Diving48 (Li et al., ECCV 2018, doi:10.1007/978-3-030-01231-1_32).

Its labels were corrected in October 2020: version 2. Numbers on the two versions are not
comparable, so the protocol of a result names it. `annotations` is the folder of
Diving48_V2_train.json and Diving48_V2_test.json (of version 1, Diving48_train.json and
Diving48_test.json), lists of {"vid_name", "label", "start_frame", "end_frame"}, and
Diving48_vocab.json, whose item at an id is
that class in four parts: ["Back", "15som", "05Twis", "FREE"]. Files are `<vid_name>.mp4`, one dive
each, anywhere below the root.

Tested on items written to the documented format; no official list was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from videoclf.data.formats.annotation_json import read_items, read_json
from videoclf.data.formats.annotation_lines import annotation_folder, existing_file
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.formats.video_files import VideoIndex, with_extension
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError

#: Of the names of the official lists, by version of the labels.
PREFIXES = {"V1": "Diving48", "V2": "Diving48_V2"}


@dataclass(frozen=True, kw_only=True)
class Diving48(VideoData):
    """Diving48: some 17,000 dives of 48 kinds, told apart by motion alone.

    Args:
        annotations: the folder of the official lists.
        label_version: V2, as corrected in 2020, or V1.
        val_fraction: share of the training list held out as val.
    """

    annotations: str | None
    val_fraction: float
    label_version: str = "V2"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label_version not in PREFIXES:
            raise ValueError(f"data.label_version={self.label_version} must be V1 or V2")
        check_fractions(self.val_fraction)

    def manifest(self) -> Manifest:
        """Read the lists and hold them against the files below `root`.

        Raises:
            ConfigError: a list is missing or an item of it is wrong.
            DataError: the root or videos are missing.
        """
        prefix = PREFIXES[self.label_version]
        lists = {subset: f"{prefix}_{subset}.json" for subset in ("train", "test")}
        holds = ", ".join(["Diving48_vocab.json", *lists.values()])
        folder = annotation_folder(self.annotations, holds)
        class_names = _read_classes(existing_file(folder, "Diving48_vocab.json"))
        videos: list[str] = []
        labels: list[tuple[int]] = []
        subsets: list[str] = []
        places: list[str] = []
        for subset, name in lists.items():
            items, where = read_items(existing_file(folder, name), ("vid_name", "label"))
            for item, place in zip(items, where, strict=True):
                labels.append((_class_id(item["label"], place, len(class_names)),))
            videos += [str(item["vid_name"]) for item in items]
            subsets += [subset] * len(items)
            places += where
        ids = pa.array(videos, pa.string())
        files = VideoIndex(self.folder(), self.reader)
        paths = files.paths_of(ids, with_extension(ids, ".mp4"))
        return assemble(
            Listing.from_lines(paths=paths, labels=labels, subsets=subsets, where=places),
            class_names,
            source=folder,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=self.val_fraction,
        )


def _class_id(label: object, place: str, num_classes: int) -> int:
    if type(label) is not int or not 0 <= label < num_classes:
        raise ConfigError(
            f"{place}: label {label!r} is no class id; the {num_classes} classes of "
            f"Diving48_vocab.json have ids 0 to {num_classes - 1}"
        )
    return label


def _read_classes(path: Path) -> tuple[str, ...]:
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise ConfigError(f'{path} names no classes; it holds [["Back", "15som", ...], ...]')
    names = []
    for class_id, item in enumerate(content):
        parts = [item] if isinstance(item, str) else item
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise ConfigError(
                f'{path}: class {class_id} is {item!r}; write it as ["Back", "15som", "05Twis", '
                '"FREE"]'
            )
        names.append(" ".join(parts))
    return tuple(names)
