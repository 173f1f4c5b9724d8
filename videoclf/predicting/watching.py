"""Videos that arrive in a folder: each one once, when it is whole.

The folder is looked at every so often, which works on every file system, network mounts included. A
file is taken for whole when size and time of change are those of the look before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from videoclf.data.formats.video_files import videos_below
from videoclf.errors import DataError


def arrivals(folder: Path, *, seconds_between: float) -> Iterator[Path]:
    """Yield videos in a folder and below it, those that are there already first; never ends.

    A file that is replaced or grows later is yielded again.

    Args:
        folder: to look at.
        seconds_between: two looks.

    Raises:
        DataError: the folder is not there, or no longer.
    """
    states: dict[str, tuple[int, int]] = {}
    done: dict[str, tuple[int, int]] = {}
    while True:
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder, or no longer; name one that stays")
        before, states = states, _states(folder)
        for name, state in states.items():
            if state[0] and before.get(name) == state and done.get(name) != state:
                done[name] = state
                yield folder / name
        done = {name: state for name, state in done.items() if name in states}
        time.sleep(seconds_between)


def _states(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size in bytes and time of change in ns of each video."""
    states = {}
    for name in videos_below(folder):
        try:
            status = (folder / name).stat()
        except OSError:  # taken away meanwhile, or a link to nothing
            continue
        states[name] = status.st_size, status.st_mtime_ns
    return states
