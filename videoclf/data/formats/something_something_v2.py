"""`data=something_something_v2`: Something-Something V2 (Goyal et al., 2017, arXiv:1706.04261).

`annotations` is the folder of the official lists, whose names end with labels.json, train.json and
validation.json. A video's class is its template without brackets: "Putting [something] onto
[something]" is "Putting something onto something" in labels.json. The official test list has no
labels, so the validation list, on which papers report, is test, and val is held out of train.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from videoclf.data.formats.annotation_json import read_items, read_json
from videoclf.data.formats.annotation_lines import annotation_folder, find_list, unknown_class
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.formats.video_files import VideoIndex, with_extension
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SomethingSomethingV2(VideoData):
    """Something-Something V2: 220,847 clips of 174 actions with everyday objects.

    Args:
        annotations: the folder of the official lists.
        val_fraction: share of the training list held out as val; the validation list is test.
    """

    annotations: str | None
    val_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction)

    def manifest(self) -> Manifest:
        """Read the lists and hold them against the files below `root`.

        Raises:
            ConfigError: a list is missing or an item of it is wrong.
            DataError: the root or videos are missing.
        """
        folder = annotation_folder(self.annotations, "labels.json, train.json, validation.json")
        class_names = _read_classes(find_list(folder, ["labels"], ".json"))
        id_of = {name: class_id for class_id, name in enumerate(class_names)}
        videos: list[str] = []
        labels: list[tuple[int]] = []
        subsets: list[str] = []
        places: list[str] = []
        for word, subset in (("train", "train"), ("validation", "test")):
            items, where = read_items(find_list(folder, [word], ".json"), ("id", "template"))
            for item, place in zip(items, where, strict=True):
                name = str(item["template"]).replace("[", "").replace("]", "")
                if name not in id_of:
                    raise unknown_class(place, name, class_names)
                labels.append((id_of[name],))
            videos += [str(item["id"]) for item in items]
            subsets += [subset] * len(items)
            places += where
        ids = pa.array(videos, pa.string())
        files = VideoIndex(self.folder(), self.reader)
        paths = files.paths_of(ids, with_extension(ids, ".webm"))
        return assemble(
            Listing.from_lines(paths=paths, labels=labels, subsets=subsets, where=places),
            class_names,
            source=folder,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=self.val_fraction,
        )


def _read_classes(path: Path) -> tuple[str, ...]:
    """Read {"<name>": "<id>"}, ids from 0."""
    content = read_json(path)
    if not isinstance(content, dict) or not content:
        raise ConfigError(f'{path} names no classes; it holds {{"<class>": "<id>", ...}}')
    by_id = {str(class_id): name for name, class_id in content.items()}
    missing = [str(i) for i in range(len(content)) if str(i) not in by_id]
    if missing:
        raise ConfigError(
            f"{path}: no class has the id {missing[0]}; the {len(content)} classes need the ids 0 "
            f"to {len(content) - 1}, each once"
        )
    return tuple(by_id[str(i)] for i in range(len(content)))
