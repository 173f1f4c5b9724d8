"""`data=folder`: a class per subfolder, with or without a train/val/test level above.

    root/<class>/a.mp4                       val and test are held out, the same share per class
    root/{train,val,test}/<class>/a.mp4      as given; without val/, val is held out of train/

Files may lie deeper; hidden files and folders, and files that are no videos, are left out. With
`data.reader=frames` a folder of pictures takes the place of a file.
"""

from __future__ import annotations

import difflib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.formats.video_files import VIDEO_EXTENSIONS, videos_below
from videoclf.data.manifest import Manifest
from videoclf.data.presence import check_files
from videoclf.data.source import VideoData
from videoclf.errors import DataError
from videoclf.types import SUBSETS

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Folder(VideoData):
    """A folder of videos whose subfolders are the classes, in alphabetical order.

    Args:
        val_fraction: share of the videos held out as val where the folder has no `val`.
        test_fraction: share held out as test where the folder has none of `train`, `val`, `test`.
    """

    val_fraction: float
    test_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction, self.test_fraction)

    def manifest(self) -> Manifest:
        """Find the videos below `root`.

        Raises:
            DataError: the root is missing or empty, or a class folder holds no video.
        """
        root = self.folder()
        levels = _levels(root)
        class_names = _class_names(root, list(levels.values()))

        paths: list[str] = []
        labels: list[int] = []
        subsets: list[str] = []
        for subset, level in levels.items():
            for class_id, name in enumerate(class_names):
                prefix = f"{subset}/{name}/".lstrip("/")
                found = list(videos_below(level / name, prefix, reader=self.reader))
                paths += found
                labels += [class_id] * len(found)
                subsets += [subset or "train"] * len(found)
        _check_filled(class_names, labels, subsets, levels)

        listing = Listing.from_lines(
            paths=paths,
            labels=[(label,) for label in labels],
            subsets=subsets,
            where=lambda row: str(root / paths[row]),
        )
        if "" in levels:
            listing = listing.held_out(self.val_fraction, self.test_fraction)
        elif "train" in levels and "val" not in levels:
            listing = listing.held_out(self.val_fraction)
        manifest = listing.manifest(class_names)
        check_files(manifest, root)  # here a fault is a name or a link
        return manifest


def _levels(root: Path) -> dict[str, Path]:
    """Return the folder of each subset, or that of all as "" where there is no such level.

    A subset's folder holds class folders; a class may be called "train" all the same (railways).
    """
    folders = _visible_folders(root)
    given = [name for name in SUBSETS if name in folders and _visible_folders(root / name)]
    others = [name for name in folders if name not in given]
    if not given or ("train" not in given and others):
        return {"": root}
    for name in others:
        near = difflib.get_close_matches(name, SUBSETS, n=1)
        if near:
            raise DataError(
                f"{root} holds {', '.join(given)} and {name}; rename {name} to {near[0]!r}, or "
                "move it elsewhere"
            )
    if others:
        log.warning("%s: %s left out beside %s", root, ", ".join(others), ", ".join(given))
    return {subset: root / subset for subset in given}


def _visible_folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _class_names(root: Path, levels: list[Path]) -> tuple[str, ...]:
    names = sorted({name for level in levels for name in _visible_folders(level)})
    if not names:
        raise DataError(
            f"data.root={root} has no class folders; put the videos of each class into a "
            "subfolder named after it"
        )
    return tuple(names)


def _check_filled(
    class_names: tuple[str, ...], labels: list[int], subsets: list[str], levels: dict[str, Path]
) -> None:
    """Refuse a class without videos to train on; test folders alone are for evaluation."""
    to_train = levels.get("train") or levels.get("")
    rows = zip(labels, subsets, strict=True)
    filled = {label for label, subset in rows if subset == "train" or to_train is None}
    folder = to_train or next(iter(levels.values()))
    empty = [name for class_id, name in enumerate(class_names) if class_id not in filled]
    if empty:
        shown = ", ".join(empty[:10]) + (", ..." if len(empty) > 10 else "")
        raise DataError(
            f"{len(empty)} of {len(class_names)} class folders below {folder} hold no video: "
            f"{shown}; add some ({' '.join(VIDEO_EXTENSIONS)}) or remove the folder"
        )
