"""`data=kinetics400`, `kinetics600`, `kinetics700`: Kinetics (Kay et al., 2017, arXiv:1705.06950).

`annotations` is a folder with the official tables, whose names end with train.csv, val.csv (or
validate.csv) and test.csv: label,youtube_id,time_start,time_end,split. Files lie anywhere below
the root, named `<youtube_id>_<start>_<end>` with six digits each, or `<youtube_id>`, such as
`train/abseiling/0wR5jVB-WPk_000417_000427.mp4`. Classes are the labels of train.csv, sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.formats.annotation_lines import annotation_folder, find_list
from videoclf.data.formats.annotation_table import (
    AnnotationTable,
    in_order,
    one_label_each,
    read_table,
)
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.formats.video_files import VideoIndex, with_extension
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError

#: The times in file names have six digits.
MAX_SECONDS = 999_999
FORM = "label,youtube_id,time_start,time_end,split"


@dataclass(frozen=True, kw_only=True)
class Kinetics(VideoData):
    """Kinetics-400, 600 and 700: ten-second clips of human actions.

    Args:
        annotations: the folder of the official tables.
        test_list: the list that the final figures are about, validation or test. Papers report on
            the validation list; then val is held out of train. With test, it is itself val.
        trimmed: the files hold the ten seconds alone; where not, time_start and time_end are used.
        val_fraction: share of the training list held out as val where test_list is validation.
    """

    annotations: str | None
    test_list: str
    trimmed: bool
    val_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction)
        if self.test_list not in ("validation", "test"):
            raise ValueError(f"data.test_list={self.test_list} must be validation or test")

    def manifest(self) -> Manifest:
        """Read the tables and find the files below `root`.

        Raises:
            ConfigError: a table is missing or a row of it is wrong.
            DataError: the root or videos are missing.
        """
        folder = annotation_folder(self.annotations, "train.csv and val.csv")
        validation = ("val", "validate", "validation")
        words = {"train": ("train",), "test": validation}
        if self.test_list == "test":
            words = {"train": ("train",), "val": validation, "test": ("test",)}
        tables = {
            subset: _read(find_list(folder, names, ".csv")) for subset, names in words.items()
        }
        class_names = in_order(pc.utf8_trim_whitespace(tables["train"].columns["label"]))
        files = VideoIndex(self.folder(), self.reader)
        listing = Listing.joined(
            [self._listing(table, subset, class_names, files) for subset, table in tables.items()]
        )
        return assemble(
            listing,
            class_names,
            source=folder,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=0.0 if "val" in tables else self.val_fraction,
        )

    def _listing(
        self, table: AnnotationTable, subset: str, class_names: tuple[str, ...], files: VideoIndex
    ) -> Listing:
        ids = pc.utf8_trim_whitespace(table.columns["youtube_id"])
        starts, ends = table.floats("time_start"), table.floats("time_end")
        named = pc.binary_join_element_wise(ids, _six_digits(starts), _six_digits(ends), "_")
        return Listing(
            paths=files.paths_of(named, files.paths_of(ids, with_extension(named, ".mp4"))),
            labels=one_label_each(table.names("label", class_names)),
            subsets=pa.repeat(subset, len(table)),
            where=table.where,
            starts=None if self.trimmed else starts,
            ends=None if self.trimmed else ends,
        )


def _read(path: Path) -> AnnotationTable:
    table = read_table(path)
    if "youtube_id" in table.columns and "label" not in table.columns:
        raise ConfigError(
            f"{table.header()}: no column 'label', the labels of this list are not public; "
            "set data.test_list=validation"
        )
    table.require(["label", "youtube_id", "time_start", "time_end"], FORM)
    for name in ("time_start", "time_end"):
        endless = pc.indices_nonzero(pc.greater(table.floats(name), MAX_SECONDS))
        if len(endless):
            row = endless[0].as_py()
            value = table.columns[name][row].as_py()
            raise ConfigError(
                f"{table.where(row)}: {name} {value} is beyond {MAX_SECONDS} s; write seconds"
            )
        empty = pc.indices_nonzero(pc.equal(table.columns[name], ""))
        if len(empty):
            raise ConfigError(f"{table.where(empty[0].as_py())}: {name} is empty; write seconds")
    return table


def _six_digits(seconds: pa.Array) -> pa.Array:
    whole = pc.cast(pc.floor(seconds), pa.int64()).cast(pa.string())
    return pc.utf8_lpad(whole, width=6, padding="0")
