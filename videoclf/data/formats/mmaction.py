"""`data=mmaction_videos`, `mmaction_rawframes`: the list files of MMAction2, without a header.

    some/path.mp4 1            videos: path, label
    some/folder 234 1          rawframes: folder of frames, their number, label
    some/folder 10 234 1       rawframes with an offset: the frames from 10 on, 234 of them
    some/path.mp4 1 3 5        any of these with several labels (multiple_labels=true)

Labels are class ids from 0, whose names stand in `label_map`, one a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from videoclf.data.formats.annotation_lines import (
    annotation_folder,
    class_list,
    existing_file,
    read_lines,
)
from videoclf.data.formats.assemble import assemble
from videoclf.data.formats.holdout import check_fractions
from videoclf.data.formats.listing import Listing
from videoclf.data.manifest import Manifest
from videoclf.data.source import VideoData
from videoclf.errors import ConfigError

#: Columns between path and labels, by `columns` of the config.
COLUMNS_BETWEEN = {"video": 0, "frames": 1, "offset_frames": 2}


#: Classes without a label_map; an id beyond is taken for a slip.
MAX_UNNAMED = 100_000


class Row(NamedTuple):
    """One line: where it stands, its path, labels, subset, and seconds where it has an offset."""

    where: str
    path: str
    labels: tuple[int, ...]
    subset: str
    start: float | None
    end: float | None


@dataclass(frozen=True, kw_only=True)
class MmactionLists(VideoData):
    """Lists of MMAction2 for train, val and test.

    Args:
        annotations: the folder of the lists.
        train_list: file name of the training list.
        val_list: file name, or None: val is held out of train.
        test_list: file name, or None. Where there are but two lists, the second is best named
            here, so that nothing is chosen by it.
        label_map: file name of the class names; None names the classes by their ids.
        columns: what a line holds: video (path, labels), frames (folder, number of frames,
            labels) or offset_frames (folder, offset, number of frames, labels).
        frame_rate: frames per second of the extracted frames; turns offsets into seconds.
        delimiter: between columns; None splits at spaces and tabs.
        multiple_labels: a line may end with several labels.
        val_fraction: share of the training list held out as val where there is no val_list.
    """

    annotations: str | None
    train_list: str
    val_list: str | None
    test_list: str | None
    label_map: str | None
    columns: str
    frame_rate: float
    delimiter: str | None
    multiple_labels: bool
    val_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.val_fraction)
        if self.columns not in COLUMNS_BETWEEN:
            raise ValueError(f"data.columns={self.columns} must be {', '.join(COLUMNS_BETWEEN)}")
        if self.frame_rate <= 0:
            raise ValueError(f"data.frame_rate={self.frame_rate} must be above 0")

    def manifest(self) -> Manifest:
        """Read the lists and hold them against the files below `root`.

        Raises:
            ConfigError: a list is missing or a line of it is wrong.
            DataError: the root or videos are missing.
        """
        folder = annotation_folder(self.annotations, self.train_list)
        lists = {"train": self.train_list, "val": self.val_list, "test": self.test_list}
        rows = [
            row
            for subset, name in lists.items()
            if name is not None
            for row in self._read(existing_file(folder, name), subset)
        ]
        if not rows:
            raise ConfigError(f"{folder / self.train_list} has no lines; add some")
        class_names = self._class_names(folder, rows)
        where, paths, labels, subsets, starts, ends = zip(*rows, strict=True)
        return assemble(
            Listing.from_lines(
                paths=paths, labels=labels, subsets=subsets, starts=starts, ends=ends, where=where
            ),
            class_names,
            source=folder / self.train_list,
            root=self.folder(),
            max_missing=self.max_unreadable,
            val_fraction=0.0 if self.val_list else self.val_fraction,
            multi_label=self.multiple_labels,
        )

    def _class_names(self, folder: Path, rows: list[Row]) -> tuple[str, ...]:
        highest = max((row for row in rows if row.labels), key=lambda row: max(row.labels))
        if self.label_map is None:
            if max(highest.labels) >= MAX_UNNAMED:
                raise ConfigError(
                    f"{highest.where}: label {max(highest.labels)} is no class id: ids count from "
                    "0; mend the line, or name the classes in data.label_map"
                )
            return tuple(str(class_id) for class_id in range(max(highest.labels) + 1))
        names = class_list(existing_file(folder, self.label_map))
        if max(highest.labels) >= len(names):
            raise ConfigError(
                f"{highest.where}: label {max(highest.labels)} is no class id; the {len(names)} "
                f"classes of {self.label_map} have ids 0 to {len(names) - 1}"
            )
        return names

    def _read(self, path: Path, subset: str) -> list[Row]:
        between = COLUMNS_BETWEEN[self.columns]
        form = " ".join(["<path>", *["<offset>", "<number of frames>"][2 - between :], "<label>"])
        rows = []
        for number, line in read_lines(path):
            where = f"{path}:{number}"
            words = [word.strip() for word in line.strip().split(self.delimiter)]
            num_labels = len(words) - 1 - between
            if num_labels < 1 or (num_labels > 1 and not self.multiple_labels):
                raise ConfigError(
                    f"{where}: {line.strip()!r} has {len(words)} columns; a line is '{form}' "
                    f"(data.columns={self.columns}, "
                    f"data.multiple_labels={str(self.multiple_labels).lower()})"
                )
            for word in words[1:]:
                if not word.isdecimal():
                    raise ConfigError(
                        f"{where}: {word!r} is no whole number; a line is '{form}', set "
                        "data.delimiter if paths hold spaces"
                    )
            start, end = self._seconds(words) if between == 2 else (None, None)
            labels = tuple(sorted({int(word) for word in words[1 + between :]}))
            rows.append(Row(where, words[0], labels, subset, start, end))
        return rows

    def _seconds(self, words: list[str]) -> tuple[float, float]:
        offset, num_frames = int(words[1]), int(words[2])
        return offset / self.frame_rate, (offset + num_frames) / self.frame_rate
