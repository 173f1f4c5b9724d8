"""Lists of "id;label" lines without a header, as of Something-Something V1 and Jester.

Each video is `<id>.webm`, or (as it is published) a folder `<id>` of frames 00001.jpg onwards,
which `data.reader=frames` reads. The official test list has no labels, so the validation list,
on which papers report, is test, and val is held out of train.

Tested on rows written to the documented format; no official list was at hand.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.formats.annotation_lines import annotation_folder, class_list, find_list
from videoclf.data.formats.annotation_table import one_label_each, read_table
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.listing import Listing
from videoclf.data.formats.video_files import VideoIndex, with_extension
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData


def twentybn_manifest(data: VideoData, annotations: str | None, val_fraction: float) -> Manifest:
    """Read `...-labels.csv`, `...-train.csv` and `...-validation.csv` and find the videos.

    Raises:
        ConfigError: a list is missing or a line of it is wrong.
        DataError: the root or videos are missing.
    """
    folder = annotation_folder(annotations, "...-labels.csv, ...-train.csv, ...-validation.csv")
    class_names = class_list(find_list(folder, ["labels"], ".csv"))
    files = VideoIndex(data.folder(), data.reader)
    listings = []
    for word, subset in (("train", "train"), ("validation", "test")):
        path = find_list(folder, [word], ".csv")
        table = read_table(path, delimiter=";", names=["id", "label"])
        ids = pc.utf8_trim_whitespace(table.columns["id"])
        listings.append(
            Listing(
                paths=files.paths_of(ids, with_extension(ids, ".webm")),
                labels=one_label_each(table.names("label", class_names)),
                subsets=pa.repeat(subset, len(table)),
                where=table.where,
            )
        )
    return assemble(
        Listing.joined(listings),
        class_names,
        source=folder,
        root=data.folder(),
        max_missing=data.max_unreadable,
        val_fraction=val_fraction,
    )
