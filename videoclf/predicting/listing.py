"""What a user names to the videos that are meant: files, folders, a table or a saved manifest.

Labels are not asked for. A table that has them, or a manifest, keeps those that are classes of the
network, so that predictions can be held against them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from videoclf.data.formats.annotation_table import AnnotationTable, read_table
from videoclf.data.formats.video_files import VIDEO_EXTENSIONS, videos_below
from videoclf.data.manifest import Manifest
from videoclf.data.presence import check_files
from videoclf.errors import ConfigError, DataError

TABLES = (".csv", ".tsv", ".parquet")
#: Missing files are found one by one, when they are read.
_ANY_NUMBER = 1 << 62


@dataclass(frozen=True)
class Listed:
    """Videos: a manifest in the network's classes, and the folder that its paths are below."""

    manifest: Manifest
    folder: Path


def list_videos(
    words: Sequence[str], *, class_names: Sequence[str], root: Path | None, reader: str
) -> Listed:
    """Find the videos that a command line names.

    Args:
        words: files and folders, or one table (.csv, .tsv, .parquet) or manifest (.arrow).
        class_names: of the network.
        root: of the videos of a table or manifest.
        reader: "frames" where a video is a folder of pictures.

    Raises:
        ConfigError: a table is wrong, or stands beside other things.
        DataError: nothing is there, or a folder holds no videos.
    """
    tables = [word for word in words if Path(word).suffix.lower() in (*TABLES, ".arrow")]
    if tables and len(words) > 1:
        raise ConfigError(
            f"{tables[0]} is named beside {len(words) - 1} more; name one table alone, or files "
            "and folders"
        )
    if not tables:
        if root is not None:
            raise ConfigError(f"--root={root} is for tables and manifests; leave it out")
        return _named(words, class_names, reader)
    place = Path(tables[0])
    if not place.is_file():
        raise ConfigError(f"{place} does not exist; name a table, a manifest, files or folders")
    if place.suffix == ".arrow":
        if root is None or not root.is_dir():
            raise DataError(
                f"the manifest {place} does not say where its videos lie; give --root=..."
            )
        listed = Listed(_relabelled(Manifest.open(place), class_names), root)
    else:
        listed = Listed(_of_table(read_table(place), class_names), root or place.absolute().parent)
    check_files(listed.manifest, listed.folder, allowed=_ANY_NUMBER)
    return listed


def _named(words: Sequence[str], class_names: Sequence[str], reader: str) -> Listed:
    """List files and folders as they were named; of one folder alone, what is below it."""
    if len(words) == 1 and Path(words[0]).is_dir() and not _is_video(Path(words[0]), reader):
        folder = Path(words[0])
        listed = Listed(unlabelled(_below(folder, "", reader), class_names), folder)
        check_files(listed.manifest, folder, allowed=_ANY_NUMBER)
        return listed
    paths: list[str] = []
    for word in words:
        place = Path(word)
        if place.is_dir() and not _is_video(place, reader):
            paths += _below(place, f"{word.rstrip('/')}/", reader)
        else:
            paths.append(word)  # what is not there is said by the reader, beside the others
    return Listed(unlabelled(paths, class_names), Path())


def _is_video(folder: Path, reader: str) -> bool:
    """Say whether a folder is itself a video: one of pictures."""
    return reader == "frames" and not any(videos_below(folder, reader=reader))


def _below(folder: Path, prefix: str, reader: str) -> list[str]:
    found = list(videos_below(folder, prefix, reader=reader))
    if not found:
        known = "folders of pictures" if reader == "frames" else " ".join(VIDEO_EXTENSIONS)
        raise DataError(f"{folder} holds no videos ({known}); name another folder, or files")
    return found


def unlabelled(paths: Sequence[str], class_names: Sequence[str]) -> Manifest:
    """List videos without labels."""
    return Manifest.from_columns(
        class_names=class_names,
        paths=paths,
        labels=[()] * len(paths),
        subsets=["test"] * len(paths),
    )


def _of_table(table: AnnotationTable, class_names: Sequence[str]) -> Manifest:
    table.require(["path"], "path[,label][,start][,end]")
    names = table.columns.get("label")
    ids = {name: number for number, name in enumerate(class_names)}
    if names is None:
        labels: list[tuple[int, ...]] = [()] * len(table)
    else:
        known = [ids.get(name.strip()) for name in names.to_pylist()]
        labels = [() if number is None else (number,) for number in known]
    return Manifest.from_columns(
        class_names=class_names,
        paths=table.columns["path"],
        labels=labels,
        subsets=["test"] * len(table),
        starts=table.floats("start"),
        ends=table.floats("end"),
    )


def _relabelled(manifest: Manifest, class_names: Sequence[str]) -> Manifest:
    """Bring a manifest into the network's classes; labels that are none of them are dropped."""
    ids = {name: number for number, name in enumerate(class_names)}
    new_ids = [ids.get(name) for name in manifest.class_names]
    labels = [
        tuple(new for old in row if (new := new_ids[old]) is not None)
        for row in manifest.table["labels"].to_pylist()
    ]
    column = pa.array(labels, pa.list_(pa.int32()))
    place = manifest.table.schema.get_field_index("labels")
    table = manifest.table.set_column(place, "labels", column)
    return Manifest(table, tuple(class_names))


def single_labels(manifest: Manifest) -> list[tuple[int, ...]]:
    """Return the label of each record as a tuple, empty where there is not exactly one."""
    rows = manifest.table["labels"].to_pylist()
    return [tuple(row) if len(row) == 1 else () for row in rows]
