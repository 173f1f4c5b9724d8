"""What the tests of several readers ask alike."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.barcode import read_barcodes
from videoclf.errors import UnreadableVideoError
from videoclf.readers.pyav import PyavReader


def check_every_frame(open_reader: Callable, path: str, numbers) -> None:
    """Assert that all frames are right: in sequence, at random, with a fresh reader and reused."""
    numbers = np.array(numbers)
    generator = np.random.default_rng(0)
    draws = [generator.integers(0, len(numbers), 5) for _ in range(4)]
    with open_reader(path) as reader:
        assert reader.num_frames == len(numbers)
        assert reader.times.shape == (len(numbers),)
        assert reader.times[0] == 0
        assert np.all(np.diff(reader.times) > 0)
        everything = reader.frames(np.arange(reader.num_frames))  # (T, H, W, 3)
        assert everything.shape == (len(numbers), reader.height, reader.width, 3)
        assert read_barcodes(everything) == numbers.tolist()
        for draw in draws:
            # Pixels too: what the decoder leaves out must not change what it gives.
            assert np.array_equal(reader.frames(draw), everything[draw])
    for draw in draws[:2]:
        with open_reader(path) as reader:
            assert np.array_equal(reader.frames(draw), everything[draw])


def read_everything(path: str) -> str:
    """Read a file with PyAV in a process of its own; return what came of it."""
    try:
        with PyavReader(path, cache=False) as reader:
            step = max(reader.num_frames // 8, 1)
            reader.frames(np.arange(0, reader.num_frames, step), short_side=32)
            return f"read {reader.num_frames}"
    except UnreadableVideoError as error:
        named = error.path == path and error.reason
        return f"refused: {error.reason}" if named else "refused without a name"


def peak_megabytes() -> int:
    """Return the most memory that this process has held; Linux only."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(read_everything(name))
    print("peak", peak_megabytes(), "MB")
