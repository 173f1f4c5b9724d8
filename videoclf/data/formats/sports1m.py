"""`data=sports1m`: Sports-1M (Karpathy et al., CVPR 2014, doi:10.1109/CVPR.2014.223).

`annotations` is the folder of labels.txt (one class a line, ids from 0), train_partition.txt and
test_partition.txt, with lines "https://www.youtube.com/watch?v=<id> 12,34". Files are named by the
id and lie anywhere below the root.

Tested on rows written to the documented format; no official list was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.formats.annotation_lines import annotation_folder, class_list, existing_file
from videoclf.data.formats.annotation_table import AnnotationTable, read_table
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.formats.video_files import VideoIndex, with_extension
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Sports1m(VideoData):
    """Sports-1M: 1,133,158 videos of 487 sports; 5 % carry several.

    Args:
        annotations: the folder of the official lists.
        val_fraction: share of the training list held out as val.
    """

    annotations: str | None
    val_fraction: float

    multi_label: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction)

    def manifest(self) -> Manifest:
        """Read the lists and find the files below `root`.

        Raises:
            ConfigError: a list is missing or a line of it is wrong.
            DataError: the root or videos are missing.
        """
        folder = annotation_folder(self.annotations, "labels.txt, train_ and test_partition.txt")
        class_names = class_list(existing_file(folder, "labels.txt"))
        files = VideoIndex(self.folder(), self.reader)
        listings = [
            _listing(existing_file(folder, f"{subset}_partition.txt"), subset, class_names, files)
            for subset in ("train", "test")
        ]
        return assemble(
            Listing.joined(listings),
            class_names,
            source=folder,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=self.val_fraction,
            multi_label=True,
        )


def _listing(path: Path, subset: str, class_names: tuple[str, ...], files: VideoIndex) -> Listing:
    table = read_table(path, delimiter=" ", names=["url", "labels"])
    ids = _youtube_ids(table)
    return Listing(
        paths=files.paths_of(ids, with_extension(ids, ".mp4")),
        labels=_labels(table, class_names),
        subsets=pa.repeat(subset, len(table)),
        where=table.where,
    )


def _youtube_ids(table: AnnotationTable) -> pa.Array:
    urls = table.columns["url"]
    found = pc.extract_regex(urls, r"[?&]v=(?P<id>[A-Za-z0-9_-]+)")
    wrong = pc.indices_nonzero(pc.is_null(found))
    if len(wrong):
        row = wrong[0].as_py()
        raise ConfigError(
            f"{table.where(row)}: {urls[row].as_py()!r} is no address of a video; a line is "
            "'https://www.youtube.com/watch?v=<id> <class id>[,<class id>]'"
        )
    return pc.struct_field(found, "id")


def _labels(table: AnnotationTable, class_names: tuple[str, ...]) -> pa.ListArray:
    texts = pc.split_pattern(table.columns["labels"], ",")
    known = pa.array([str(class_id) for class_id in range(len(class_names))])
    ids = pc.index_in(texts.flatten(), known).cast(pa.int32())
    if ids.null_count:
        place = pc.indices_nonzero(pc.is_null(ids))[0].as_py()
        row = pc.list_parent_indices(texts)[place].as_py()
        raise ConfigError(
            f"{table.where(row)}: label {texts.flatten()[place].as_py()!r} is no class id; the "
            f"{len(class_names)} classes of labels.txt have ids 0 to {len(class_names) - 1}"
        )
    return pa.ListArray.from_arrays(texts.offsets, ids)
