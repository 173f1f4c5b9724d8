"""`data=epic_kitchens`: EPIC-KITCHENS-100 (Damen et al., 2022, arXiv:2006.13256), action segments.

`annotations` is the folder of EPIC_100_train.csv, EPIC_100_validation.csv and the class tables
EPIC_100_verb_classes.csv and EPIC_100_noun_classes.csv. `label_column=verb` or `noun`
chooses the target. A record is the stretch from start_timestamp to stop_timestamp of a video
`P01_01`, found anywhere below the root. The official test list has no labels, so the validation
list, on which papers report, is test, and whole videos of train are held out as val.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.formats.annotation_lines import annotation_folder, existing_file
from videoclf.data.formats.annotation_table import AnnotationTable, one_label_each, read_table
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.formats.video_files import VideoIndex
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class EpicKitchens(VideoData):
    """EPIC-KITCHENS-100: 90,000 segments of unscripted cooking, 97 verbs and 300 nouns.

    Args:
        annotations: the folder of the official tables.
        label_column: what a segment's label is, verb or noun.
        val_fraction: share of the training segments held out as val, by whole videos.
    """

    annotations: str | None
    label_column: str
    val_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction)
        if self.label_column not in ("verb", "noun"):
            raise ValueError(f"data.label_column={self.label_column} must be verb or noun")

    def manifest(self) -> Manifest:
        """Read the tables and find the videos below `root`.

        Raises:
            ConfigError: a table is missing or a row of it is wrong.
            DataError: the root or videos are missing.
        """
        lists = {"train": "EPIC_100_train.csv", "test": "EPIC_100_validation.csv"}
        classes = f"EPIC_100_{self.label_column}_classes"
        holds = ", ".join([f"{classes}.csv", *lists.values()])
        folder = annotation_folder(self.annotations, holds)
        class_names = _read_classes(existing_file(folder, f"{classes}.csv"))
        files = VideoIndex(self.folder(), self.reader)
        listings = [
            self._listing(read_table(existing_file(folder, name)), subset, class_names, files)
            for subset, name in lists.items()
        ]
        return assemble(
            # Two actions told in one breath may have the same times; predictions have one key each.
            Listing.joined(listings).first_of_repeated(),
            class_names,
            source=folder,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=self.val_fraction,
            untrained_allowed=True,  # 300 nouns are defined, fewer occur in the training list
        )

    def _listing(
        self, table: AnnotationTable, subset: str, class_names: tuple[str, ...], files: VideoIndex
    ) -> Listing:
        column = f"{self.label_column}_class"
        needed = ["participant_id", "video_id", "start_timestamp", "stop_timestamp", column]
        table.require(needed, ",".join(needed))
        videos = table.columns["video_id"]
        expected = pc.binary_join_element_wise(
            table.columns["participant_id"], "/videos/", videos, ".MP4", ""
        )
        return Listing(
            paths=files.paths_of(videos, expected),
            labels=one_label_each(table.ids(column, len(class_names))),
            subsets=pa.repeat(subset, len(table)),
            where=table.where,
            starts=_seconds(table, "start_timestamp"),
            ends=_seconds(table, "stop_timestamp"),
            groups=videos,
        )


def _read_classes(path: Path) -> tuple[str, ...]:
    """Read the columns id and key; ids from 0, in order."""
    table = read_table(path)
    table.require(["id", "key"], "id,key,...")
    for row, class_id in enumerate(table.columns["id"].to_pylist()):
        if class_id != str(row):
            raise ConfigError(
                f"{table.where(row)}: id {class_id!r} stands where {row} should; "
                "ids count from 0, in order"
            )
    return tuple(table.columns["key"].to_pylist())


def _seconds(table: AnnotationTable, name: str) -> pa.Array:
    """Return a column of hours:minutes:seconds as seconds, float64."""
    text = table.columns[name]
    parts = pc.extract_regex(text, r"^(?P<h>\d+):(?P<m>[0-5]\d):(?P<s>[0-5]\d(?:\.\d+)?)$")
    wrong = pc.indices_nonzero(pc.is_null(parts))
    if len(wrong):
        row = wrong[0].as_py()
        raise ConfigError(
            f"{table.where(row)}: {name} {text[row].as_py()!r} is no time; write 00:01:02.50"
        )
    hours, minutes, seconds = (
        pc.struct_field(parts, part).cast(pa.float64()) for part in ("h", "m", "s")
    )
    return pc.add(pc.add(pc.multiply(hours, 3600.0), pc.multiply(minutes, 60.0)), seconds)
