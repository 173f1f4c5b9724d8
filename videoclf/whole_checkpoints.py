"""Which of a run's checkpoints are whole: the newest to go on from, and a damaged best set aside.

The launching process looks, without torch.
"""

from __future__ import annotations

import shutil
import struct
import sys
import zlib
from pathlib import Path

from videoclf import checkpoint_file
from videoclf.errors import CheckpointError

#: What reading an archive in which bits are wrong may raise.
_UNREADABLE = (EOFError, NotImplementedError, RuntimeError, struct.error, zlib.error)


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the most steps that is whole; None where there never was one.

    Damaged ones above it are named on stderr.

    Raises:
        CheckpointError: all are damaged.
    """
    steps = {path: _unverified_step(path) for path in folder.glob("*.ckpt")}
    damaged: list[str] = []
    newest = None
    # `last.ckpt` before others of the same step; only as many are hashed as it takes
    for path in sorted(steps, key=lambda path: (-steps[path], path.name != "last.ckpt", path.name)):
        try:
            checkpoint_file.verify(path)
        except CheckpointError as error:
            damaged.append(str(error).rpartition(";")[0])
            continue
        newest = path
        break
    if newest is None and damaged:
        raise CheckpointError(f"{'; '.join(damaged)}; no other is left, so start a new run")
    for sentence in damaged:
        sys.stderr.write(f"warning: {sentence}; using {newest} instead\n")
    return newest


def _unverified_step(path: Path) -> int:
    """Return the step that a checkpoint says it is of, or the highest where it says none.

    One that says none is damaged, and is looked at first.
    """
    try:
        step = checkpoint_file.read_description(path)["progress"]["step"]
    except (CheckpointError, OSError, KeyError, TypeError, *_UNREADABLE):
        return sys.maxsize
    return step if isinstance(step, int) else sys.maxsize


def set_aside_best(folder: Path) -> None:
    """Rename a damaged `best.ckpt`, so that the run writes another, or does without."""
    best = folder / "best.ckpt"
    try:
        if best.exists():
            checkpoint_file.verify(best)
    except CheckpointError as error:
        aside = best.with_name("best.ckpt.damaged")
        if aside.is_dir():
            shutil.rmtree(aside)
        best.rename(aside)
        sys.stderr.write(
            f"warning: {str(error).rpartition(';')[0]}; it is now {aside.name}, and the best of "
            "what is still trained takes its place\n"
        )
