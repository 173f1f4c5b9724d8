"""The folder of a run: made under a new name, and kept for one command at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from videoclf.checkpoint_folder import recover
from videoclf.errors import ConfigError, StorageError
from videoclf.outer_launcher import Place
from videoclf.standstill import mark_files


@contextmanager
def run_folder(run_dir: str | None, name: str) -> Iterator[Path]:
    """Make the folder of a run; take it away again if the block fails and it is still empty.

    `run_dir` may exist if it is empty; null makes `runs/<name>/<date>_<time>`.

    Raises:
        ConfigError: `run_dir` holds something already.
        StorageError: it cannot be made.
    """
    made = _make_folder(run_dir, name)
    try:
        yield made
    except BaseException:
        for folder in (made, made.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


def _make_folder(run_dir: str | None, name: str) -> Path:
    try:
        if run_dir is not None:
            folder = Path(run_dir).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise ConfigError(f"run_dir={run_dir} is not empty; name a new folder")
            return folder
        stamp = datetime.now().astimezone().strftime("%Y-%m-%d_%H%M%S")
        for attempt in range(1000):
            folder = Path("runs", name, stamp + (f"_{attempt}" if attempt else "")).absolute()
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise StorageError(f"cannot make the run folder: {error}; set run_dir=...") from error
    raise StorageError(f"runs/{name}/{stamp} is taken a thousand times; set run_dir=...")


def discard(folder: Path) -> None:
    """Take away the folder of a run that a mistake has ended before it left anything.

    So that the same command, put right, finds its `run_dir` free.
    """
    if {path.name for path in folder.iterdir()} == {"config.yaml"}:
        (folder / "config.yaml").unlink()
        folder.rmdir()


@contextmanager
def claimed(folder: Path, place: Place | None = None) -> Iterator[None]:
    """Keep a run folder for one command at a time; sweep what a killed one has left half written.

    Of processes that another launcher has started, rank 0 does both.

    Raises:
        ConfigError: another command works on it.
    """
    if place is not None and place.rank:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another command is working on {folder}; wait until it has ended, or end it"
            ) from error
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL):
                raise  # those are of file systems that know no such locks: then nobody is warned
        for place_of_files in (folder, folder / "checkpoints", folder / "parts"):
            for stale in place_of_files.glob(".*.part"):
                if stale.is_dir():
                    shutil.rmtree(stale)
                else:
                    stale.unlink(missing_ok=True)
        recover(folder / "checkpoints")
        for stale in (*folder.glob(".error_rank*.json"), *mark_files(folder)):
            stale.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)
