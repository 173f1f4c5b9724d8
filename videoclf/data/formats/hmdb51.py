"""`data=hmdb51`: HMDB-51 (Kuehne et al., ICCV 2011, doi:10.1109/ICCV.2011.6126543), three splits.

`annotations` is the folder of the official lists, one per class and split, such as
`brush_hair_test_split1.txt`, with lines "<video>.avi 1": 1 is train, 2 is test, 0 is not used.
Videos lie in class folders. Clips of one film (the name before the last `_<class>_`) form a group.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from videoclf.data.formats.annotation_lines import annotation_folder, read_lines
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError

SUBSET_OF_MARK = {"1": "train", "2": "test", "0": None}


@dataclass(frozen=True, kw_only=True)
class Hmdb51(VideoData):
    """HMDB-51: 6,766 clips of 51 actions; 70 to train and 30 to test per class and split.

    Args:
        annotations: the folder of the official lists.
        split: number of the official lists, 1 to 3.
        val_fraction: share of the training list held out as val, by whole groups.
    """

    annotations: str | None
    split: int
    val_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction)
        if self.split not in (1, 2, 3):
            raise ValueError(f"data.split={self.split} must be 1, 2 or 3")

    def manifest(self) -> Manifest:
        """Read the lists of the split and hold them against the files below `root`.

        Raises:
            ConfigError: lists are missing or a line is wrong.
            DataError: the root or videos are missing.
        """
        ending = f"_test_split{self.split}.txt"
        folder = annotation_folder(self.annotations, f"the lists <class>{ending}")
        lists = {path.name.removesuffix(ending): path for path in folder.glob(f"*{ending}")}
        if not lists:
            found = sorted({path.name[-len(ending) :] for path in folder.glob("*_test_split*")})
            raise ConfigError(
                f"{folder} holds no list <class>{ending}; "
                + (f"it holds *{', *'.join(found)}" if found else "give the official lists")
            )
        class_names = tuple(sorted(lists))
        rows = [
            (*row, (class_id,))
            for class_id, name in enumerate(class_names)
            for row in _read_list(lists[name], name)
        ]
        where, paths, subsets, groups, labels = zip(*rows, strict=True) if rows else ([],) * 5
        if self.reader == "frames":  # a folder of frames is named as the file it was made from
            paths = [path.removesuffix(".avi") for path in paths]
        listing = Listing.from_lines(
            paths=paths, labels=labels, subsets=subsets, groups=groups, where=where
        )
        return assemble(
            listing,
            class_names,
            source=folder,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=self.val_fraction,
        )


def _read_list(path: Path, class_name: str) -> list[tuple[str, str, str, str]]:
    """Read (place, path, subset, group) of each line that is used."""
    film = re.compile(rf"(.+)_{re.escape(class_name)}_")
    rows = []
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        words = line.split()
        if len(words) != 2:
            raise ConfigError(
                f"{where}: {line.strip()!r} has {len(words)} columns; a line is '<video>.avi 1'"
            )
        name, mark = words
        if mark not in SUBSET_OF_MARK:
            raise ConfigError(
                f"{where}: {mark!r} is none of 1 (train), 2 (test), 0 (not used); mend the line"
            )
        subset = SUBSET_OF_MARK[mark]
        if subset is not None:
            named = film.match(name)
            source = named[1] if named else name
            rows.append((where, f"{class_name}/{name}", subset, f"{class_name}/{source}"))
    return rows
