"""`data=moments_in_time`: Moments in Time (Monfort et al., 2019, arXiv:1801.03150).

`annotations` is the folder of moments_categories.txt ("clapping,0"), trainingSet.csv and
validationSet.csv ("clapping/<file>.mp4,clapping,<agreeing>,<disagreeing>"). Videos lie below
training/ and validation/. The official test list has no labels, so the validation list, on which
papers report, is test, and val is held out of train.

Tested on rows written to the documented format; no official list was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.formats.annotation_lines import annotation_folder, existing_file, read_lines
from videoclf.data.formats.annotation_table import one_label_each, read_table
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class MomentsInTime(VideoData):
    """Moments in Time: three-second clips, 339 classes (305 in version 2).

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
            ConfigError: a list is missing or a line of it is wrong.
            DataError: the root or videos are missing.
        """
        lists = {"training": "trainingSet.csv", "validation": "validationSet.csv"}
        holds = ", ".join(["moments_categories.txt", *lists.values()])
        folder = annotation_folder(self.annotations, holds)
        class_names = _read_classes(existing_file(folder, "moments_categories.txt"))
        listings = []
        for name, subset in (("training", "train"), ("validation", "test")):
            table = read_table(
                existing_file(folder, lists[name]),
                names=["path", "label", "agreeing", "disagreeing"],
            )
            listings.append(
                Listing(
                    paths=pc.binary_join_element_wise(f"{name}/", table.columns["path"], ""),
                    labels=one_label_each(table.names("label", class_names)),
                    subsets=pa.repeat(subset, len(table)),
                    where=table.where,
                )
            )
        return assemble(
            Listing.joined(listings),
            class_names,
            source=folder,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=self.val_fraction,
        )


def _read_classes(path: Path) -> tuple[str, ...]:
    """Read "<name>,<id>" lines; ids from 0, in any order."""
    by_id: dict[str, str] = {}
    for number, line in read_lines(path):
        name, _, class_id = line.strip().rpartition(",")
        if not name or not class_id.isdecimal() or class_id in by_id:
            raise ConfigError(
                f"{path}:{number}: {line.strip()!r} is not '<class>,<id>' with an id of its own; "
                "mend the line"
            )
        by_id[class_id] = name
    missing = [str(i) for i in range(len(by_id)) if str(i) not in by_id]
    if missing or not by_id:
        raise ConfigError(f"{path}: no class has the id {''.join(missing[:1]) or 0}; add its line")
    return tuple(by_id[str(i)] for i in range(len(by_id)))
