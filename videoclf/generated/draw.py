"""Draws the missing videos of a generated data set, on all cores, each written whole or not at all.

A folder's listing says what is there, so that an interrupted drawing goes on where it stopped and
a file deleted later is drawn again; `parameters.json`, written first, says what the folder holds.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from videoclf.cache import atomic_write
from videoclf.errors import DataError, StorageError, WorkerError
from videoclf.generated.encode import write_video

#: Path relative to the root -> frames, uint8 (T, H, W, 3). Sent to other processes: a function
#: of a module, a `functools.partial` of one, or a method of a dataclass.
DrawVideo = Callable[[str], NDArray[np.uint8]]

_PARAMETERS = "parameters.json"
#: Below this many videos, starting processes takes longer than drawing.
_FEW = 64
_CHUNK = 8
#: Held while a process writes, so that it does not end with half a file.
_WRITING = threading.Lock()


def draw_missing(
    root: Path,
    paths: Sequence[str],
    draw: DrawVideo,
    *,
    parameters: Mapping[str, object],
    frames_per_second: int,
    name: str,
    lossless: bool = False,
) -> int:
    """Draw and encode those of `paths` that are not below `root`, with a progress bar on stderr.

    Args:
        root: folder of the videos; made where it is missing.
        paths: all videos of the data set, relative to `root`, with forward slashes.
        draw: path -> frames; may be sent to other processes.
        parameters: what the videos were drawn with, plain JSON; kept beside them.
        frames_per_second: frame rate of the videos.
        name: the data set's name, as in `data=<name>`; for messages.
        lossless: as in `videoclf.generated.encode.encode_frames`.

    Returns:
        The number of videos drawn.

    Raises:
        DataError: the folder holds something else, or was drawn with other parameters.
        StorageError: the disk is full or the folder cannot be written.
        WorkerError: a drawing process died.
    """
    try:
        _check_folder(root, parameters, name)
        missing = _missing(root, paths)
        if not missing:
            return 0
        _claim(root, parameters)
        write = _Write(root, draw, frames_per_second, lossless)
        with _progress(f"Drawing {name}", len(paths), len(paths) - len(missing)) as advance:
            for _ in _write_all(write, missing):
                advance()
    except OSError as error:
        raise StorageError(
            f"cannot write the drawn videos below {root}: {error}; free space there, "
            "or choose another folder with data.root=... or VIDEOCLF_CACHE"
        ) from error
    except BrokenProcessPool as error:
        raise WorkerError(
            f"a process that drew videos below {root} died, with its own message above or for want "
            "of memory; start again: drawing goes on where it stopped"
        ) from error
    return len(missing)


class _Write:
    """Draws videos and writes them below a root; sent to other processes."""

    def __init__(self, root: Path, draw: DrawVideo, frames_per_second: int, lossless: bool) -> None:
        self.root, self.draw = root, draw
        self.frames_per_second, self.lossless = frames_per_second, lossless

    def __call__(self, paths: Sequence[str]) -> int:
        for path in paths:
            frames = self.draw(path)
            with _WRITING:
                write_video(
                    self.root / path,
                    frames,
                    frames_per_second=self.frames_per_second,
                    lossless=self.lossless,
                )
        return len(paths)


def _write_all(write: _Write, paths: Sequence[str]) -> Iterator[None]:
    """Write all, in other processes if they are many; yield after each."""
    cores = _num_cores()
    if len(paths) < _FEW or cores == 1 or not _may_spawn():
        for path in paths:
            write([path])
            yield
        return
    pool = ProcessPoolExecutor(
        cores, mp_context=multiprocessing.get_context("spawn"), initializer=_start_process
    )
    try:
        chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
        futures: list[Future[int]] = [pool.submit(write, chunk) for chunk in chunks]
        for future in as_completed(futures):
            for _ in range(future.result()):
                yield
    finally:
        pool.shutdown(cancel_futures=True)


def _may_spawn() -> bool:
    """Return whether this process may have children that start as Python starts.

    Daemonic processes may not, and a program read from stdin cannot be read again by a child.
    """
    main = getattr(sys.modules["__main__"], "__file__", None)
    return not multiprocessing.current_process().daemon and (main is None or Path(main).is_file())


def _num_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _start_process() -> None:
    """Leave Ctrl-C to the parent, which then stops us; end if the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    _WRITING.acquire()
    os._exit(1)


def _missing(root: Path, paths: Sequence[str]) -> list[str]:
    """Return those of `paths` that are not below `root`, listing each folder once."""
    present: dict[str, set[str]] = {}
    missing = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in present:
            where = root / folder
            present[folder] = set(os.listdir(where)) if where.is_dir() else set()
        if name not in present[folder]:
            missing.append(path)
    return missing


def _check_folder(root: Path, parameters: Mapping[str, object], name: str) -> None:
    """Refuse a folder that holds anything but videos drawn with these parameters.

    Raises:
        DataError: it does.
    """
    if root.exists() and not root.is_dir():
        raise DataError(f"data.root={root} is not a folder; give one, or null for the cache folder")
    try:
        held = dict(json.loads((root / _PARAMETERS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        if root.is_dir() and any(root.iterdir()):
            raise DataError(
                f"data.root={root} holds files that data={name} did not draw; for videos of your "
                "own choose data=folder or data=csv, otherwise give an empty folder"
            ) from None
        return
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{root / _PARAMETERS} is not what data={name} wrote there: {error}; delete the "
            "folder to have it drawn again, or choose another data.root"
        ) from error
    if held != parameters:
        keys = sorted(key for key in {*held, *parameters} if held.get(key) != parameters.get(key))
        there = ", ".join(f"{key}={held.get(key)} (not {parameters.get(key)})" for key in keys)
        raise DataError(
            f"data.root={root} was drawn with other parameters: {there}; "
            "delete it, or choose another data.root, or data.root=null for the cache folder"
        )


def _claim(root: Path, parameters: Mapping[str, object]) -> None:
    """Write down what the folder holds, once."""
    if not (root / _PARAMETERS).exists():
        with atomic_write(root / _PARAMETERS) as temporary:
            temporary.write_text(json.dumps(parameters, indent=1) + "\n", encoding="utf-8")


@contextmanager
def _progress(title: str, total: int, done: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on stderr; give the function that moves it on by one."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, completed=done)
        yield lambda: progress.advance(task)
