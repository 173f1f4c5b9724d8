"""`data=ucf101`: UCF-101 (Soomro et al., 2012, arXiv:1212.0402), three official splits.

`annotations` is the folder `ucfTrainTestlist`: `classInd.txt` ("1 ApplyEyeMakeup"),
`trainlist01.txt` ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1") and `testlist01.txt` (without
the id). Clips of one group (g08) are cut from one video, so val takes whole groups.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from videoclf.data.formats.annotation_lines import (
    annotation_folder,
    existing_file,
    read_lines,
    unknown_class,
)
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError

#: `v_<class>_g<group>_c<clip>`; the class is spelled as in the file name, not always as the folder.
CLIP_NAME = re.compile(r"v_\w+_g(\d+)_c\d+")


@dataclass(frozen=True, kw_only=True)
class Ucf101(VideoData):
    """UCF-101: 13,320 clips of 101 actions.

    Args:
        annotations: the folder of the official lists.
        split: number of the official list, 1 to 3.
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
            ConfigError: a list is missing or a line of it is wrong.
            DataError: the root or videos are missing.
        """
        lists = f"trainlist{self.split:02d}.txt", f"testlist{self.split:02d}.txt"
        folder = annotation_folder(self.annotations, f"classInd.txt, {lists[0]} and {lists[1]}")
        class_names = _read_classes(existing_file(folder, "classInd.txt"))
        train, test = (existing_file(folder, name) for name in lists)

        rows = [
            (subset, *row)
            for subset, path in (("train", train), ("test", test))
            for row in _read_list(path, class_names, with_ids=subset == "train")
        ]
        subsets, where, paths, labels, groups = zip(*rows, strict=True) if rows else ([],) * 5
        if self.reader == "frames":  # a folder of frames is named as the file it was made from
            paths = [path.removesuffix(".avi") for path in paths]
        listing = Listing.from_lines(
            paths=paths, labels=labels, subsets=subsets, groups=groups, where=where
        )
        return assemble(
            listing,
            class_names,
            source=train,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=self.val_fraction,
        )


def _read_classes(path: Path) -> tuple[str, ...]:
    """Read "<id> <name>" lines; ids count from 1, in order."""
    names: list[str] = []
    for number, line in read_lines(path):
        words = line.split()
        if len(words) != 2 or words[0] != str(len(names) + 1):
            raise ConfigError(
                f"{path}:{number}: {line.strip()!r} is not {len(names) + 1} and a class name; ids "
                "count from 1, one class a line"
            )
        names.append(words[1])
    if not names:
        raise ConfigError(f"{path} names no class; take classInd.txt from the official lists")
    return tuple(names)


def _read_list(
    path: Path, class_names: tuple[str, ...], *, with_ids: bool
) -> list[tuple[str, str, tuple[int], str]]:
    """Read (place, path, labels, group) of each line."""
    ids = {name: class_id for class_id, name in enumerate(class_names)}
    form = "<class>/v_<class>_gNN_cNN.avi" + (" <id>" if with_ids else "")
    rows = []
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        words = line.split()
        # Third-party copies write ids into the test list too; they must be right all the same.
        if not (1 + with_ids <= len(words) <= 2):
            raise ConfigError(
                f"{where}: {line.strip()!r} has {len(words)} columns; a line is {form!r}"
            )
        class_name, _, name = words[0].rpartition("/")
        named = CLIP_NAME.match(name)
        if named is None or not class_name:
            raise ConfigError(f"{where}: {words[0]!r} is no clip of UCF-101; a line is {form!r}")
        if class_name not in ids:
            raise unknown_class(where, class_name, class_names)
        if len(words) == 2 and words[1] != str(ids[class_name] + 1):
            raise ConfigError(
                f"{where}: {words[0]} has id {words[1]}, but classInd.txt gives {class_name} "
                f"the id {ids[class_name] + 1}; mend the line"
            )
        rows.append((where, words[0], (ids[class_name],), f"{class_name}_g{named[1]}"))
    return rows
