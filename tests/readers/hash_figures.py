"""What hashes of files cost and find: CPU time beside reading a clip, and single flipped bits.

python -m tests.readers.hash_figures /videos
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from videoclf.data.formats.video_files import videos_below
from videoclf.errors import UnreadableVideoError
from videoclf.readers.content import check_content, hash_file
from videoclf.readers.pyav import PyavReader
from videoclf.tools.inspection import Inspector

MAX_FILES = 300


def milliseconds(work: Callable[[str], object], paths: list[str]) -> float:
    """Return the mean CPU time of some work on a file."""
    began = time.process_time()
    for path in paths:
        work(path)
    return 1000 * (time.process_time() - began) / len(paths)


def read_clip(path: str) -> None:
    """Read 16 frames at stride 2 from the middle, short side 128 pixels."""
    with PyavReader(path) as reader:
        start = max(0, reader.num_frames - 32) // 2
        last = min(start + 32, reader.num_frames)
        reader.frames(np.arange(start, last, 2), short_side=128)


def flipped_bits_found(paths: list[str], hashes: dict[str, str]) -> tuple[int, int]:
    """Flip a bit in a copy of each file; return how many the hash and the decoder notice."""
    generator = random.Random(0)
    by_hash = by_decoder = 0
    with tempfile.TemporaryDirectory() as name:
        look = Inspector(name, quick=False)
        for path in paths:
            altered = bytearray(Path(path).read_bytes())
            altered[generator.randrange(len(altered))] ^= 1 << generator.randrange(8)
            copy = Path(name, f"a{Path(path).suffix}")
            copy.write_bytes(altered)
            try:
                check_content(str(copy), hashes[path], remember=False)
            except UnreadableVideoError:
                by_hash += 1
            by_decoder += look(copy.name).problem is not None
    return by_hash, by_decoder


def main(folder: Path) -> None:
    """Print the figures of up to 300 files below a folder."""
    paths = [str(folder / path) for path in videos_below(folder)][:MAX_FILES]
    hashes = {path: hash_file(path) for path in paths}
    size = sum(Path(path).stat().st_size for path in paths) / len(paths)

    def check(path: str, remember: bool = True) -> None:
        check_content(path, hashes[path], remember=remember)

    with tempfile.TemporaryDirectory() as cache:
        os.environ["VIDEOCLF_CACHE"] = cache
        figures = {
            "clip, first opening": milliseconds(read_clip, paths),
            "clip, later": milliseconds(read_clip, paths),
            "hash, first opening": milliseconds(check, paths),
            "hash, later": milliseconds(check, paths),
            "hash, always": milliseconds(lambda path: check(path, remember=False), paths),
        }
    sys.stdout.write(f"{len(paths)} files of {size / 1000:.0f} kB\n")
    for name, value in figures.items():
        sys.stdout.write(f"{name:20} {value:7.3f} ms\n")
    by_hash, by_decoder = flipped_bits_found(paths, hashes)
    sys.stdout.write(
        f"one bit flipped in each: {by_hash} found by hash, {by_decoder} by decoding\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
