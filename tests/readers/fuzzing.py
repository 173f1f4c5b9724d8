"""Read altered files in processes that may crash or hang, and judge what came of each.

A file must be read, with as many frames as the reader promises and of the shape that was asked for,
or be refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from tests.barcode import read_barcodes
from tests.readers.alterations import Altered
from tests.readers.checks import peak_megabytes
from videoclf.errors import UnreadableVideoError
from videoclf.readers import Reader, reader_class
from videoclf.tools.pool import Finished, Pool

SECONDS_PER_FILE = 20.0
SHORT_SIDE = 32
MAX_FRAMES = 120


@dataclass(frozen=True)
class Outcome:
    """What became of an altered file.

    `verdict` is read, read otherwise (other pictures than the original's), refused, crash, hang,
    or wrong (the reader broke its promise).
    """

    altered: Altered
    verdict: str
    reason: str = ""
    peak_megabytes: int = 0


def read_altered(altered: Altered, open_video: Callable[[str], Reader]) -> Outcome:
    """Read a file as training does, a few frames at random and then all; return what came of it."""
    generator = np.random.default_rng(0)
    try:
        with open_video(altered.path) as video:
            count = video.num_frames
            draw = np.sort(generator.integers(0, count, 8))
            some = video.frames(draw, short_side=SHORT_SIDE)
            wanted = np.arange(count)
            if count > MAX_FRAMES:
                wanted = np.linspace(0, count - 1, MAX_FRAMES).astype(np.int64)
            clip = video.frames(wanted, short_side=SHORT_SIDE)
            size = (video.height, video.width)
            times = video.times
    except UnreadableVideoError as error:
        named = error.path == altered.path and bool(error.reason)
        verdict, reason = ("refused", error.reason) if named else ("wrong", "refused without name")
        return Outcome(altered, verdict, reason, peak_megabytes())
    for pictures, indices in ((some, draw), (clip, wanted)):
        if pictures.shape[0] != len(indices) or pictures.shape[3] != 3 or pictures.dtype != "uint8":
            return Outcome(altered, "wrong", f"gave {pictures.shape} for {len(indices)} frames")
        if min(pictures.shape[1:3]) != SHORT_SIDE:
            return Outcome(altered, "wrong", f"gave {pictures.shape} of {size}")
    if times.shape != (count,) or np.any(np.diff(times) <= 0):
        return Outcome(altered, "wrong", "its times do not ascend")
    same = tuple(read_barcodes(clip)) == altered.numbers
    return Outcome(altered, "read" if same else "read otherwise", "", peak_megabytes())


def read_all(
    altered: Iterable[Altered],
    reader: str,
    *,
    num_processes: int,
    seconds_per_file: float = SECONDS_PER_FILE,
) -> Iterator[Outcome]:
    """Read files in processes that are replaced where they crash or hang."""
    pool: Pool[Altered, Outcome] = Pool(
        partial(read_altered, open_video=reader_class(reader)),
        num_processes=num_processes,
        seconds_per_task=seconds_per_file,
    )
    with closing(pool.run(altered)) as ended:
        for each in ended:
            if isinstance(each, Finished):
                yield each.result
            else:
                verdict = "hang" if each.exit_code is None else "crash"
                yield Outcome(each.task, verdict, each.reason)
