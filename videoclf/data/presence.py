"""Hold the paths of a manifest against the files below the data root, listing each folder once."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError, DataError

log = logging.getLogger(__name__)

#: Absolute, leading out by "..", holding NUL, or taken for an address (RE2 syntax).
OUTSIDE = r"^/|^\\|(^|/)\.\.(/|$)|\x00|://|^[A-Za-z][A-Za-z0-9+.-]*:\S"


def check_files(manifest: Manifest, root: Path, *, allowed: int = 0) -> None:
    """Refuse a manifest whose files are not there.

    Args:
        manifest: the records.
        root: folder of the videos.
        allowed: missing files that are logged instead; the reader reports each of them.

    Raises:
        ConfigError: a path is absolute, leads out of the root, is an address or holds NUL.
        DataError: files are missing, or links that lead out of the root; the text gives their
            count and the first ten.
    """
    paths = pc.unique(manifest.table["path"])
    outside = pc.indices_nonzero(pc.match_substring_regex(paths, OUTSIDE))
    if len(outside):
        raise ConfigError(
            f"path {paths[outside[0].as_py()].as_py()!r} is not inside the data root; "
            "name files relative to data.root, without '..'"
        )
    present, leaving = list_folders(root, paths)
    missing = paths.filter(pc.invert(pc.is_in(paths, pa.array(present, pa.string()))))
    if 0 < len(missing) <= allowed:
        log.warning(
            "%d of %d videos are missing below %s (%d allowed): %s",
            *(len(missing), len(paths), root, allowed, first_names(missing)),
        )
    elif len(missing):
        raise DataError(
            f"{len(missing)} of {len(paths)} videos are missing below {root}: "
            f"{first_names(missing)}; check data.root or take them out of the annotation file"
        )
    led_out = paths.filter(pc.is_in(paths, pa.array(leaving, pa.string())))
    if len(led_out):
        raise DataError(
            f"{len(led_out)} of {len(paths)} videos are links that lead out of {root}: "
            f"{first_names(led_out)}; copy the files there, or set data.root to where they lead"
        )


def list_folders(root: Path, paths: pa.Array) -> tuple[list[str], list[str]]:
    """List the folders of the paths: what is there, and what of it leads out of the root."""
    real_root = os.path.realpath(root)
    present: list[str] = []
    leaving: list[str] = []
    for folder in pc.unique(pc.replace_substring_regex(paths, r"[^/]*$", "")).to_pylist():
        try:
            with os.scandir(root / folder) as entries:
                names = [(folder + entry.name, entry.is_symlink()) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            raise DataError(f"cannot list {root / folder}: {error.strerror}; allow it") from error
        present += [path for path, _ in names]
        if not _is_below(root / folder, real_root):
            leaving += [path for path, _ in names]
        else:
            links = [path for path, is_link in names if is_link]
            leaving += [path for path in links if not _is_below(root / path, real_root)]
    return present, leaving


def _is_below(path: Path, real_root: str) -> bool:
    real = os.path.realpath(path)
    return real == real_root or real.startswith(real_root.rstrip(os.sep) + os.sep)


def first_names(paths: pa.Array, count: int = 10) -> str:
    """Return the first of some paths as a sentence needs them."""
    return ", ".join(paths[:count].to_pylist()) + (", ..." if len(paths) > count else "")
