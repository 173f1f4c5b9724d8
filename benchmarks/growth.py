"""How costs grow: exponents of power laws fitted to CPU time, 1 being linear.

Reading, in the number of distinct frames (consecutive, so that the work is the frames) and in the
video's length (the same 8 frames' span from a random place, GOP 12); and opening a manifest and
drawing an epoch's order, in its rows.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import av
import numpy as np
import ours
from manifest_startup import write_manifest
from table import Row, report
from timing import interleaved, quartiles
from videos import encode_scene

from videoclf.data.batch_sampler import TrainBatches
from videoclf.data.manifest import Manifest
from videoclf.readers.pyav import PyavReader


def measure(*, quick: bool) -> Iterator[Row]:
    """Fit the three exponents."""
    ours.use_one_thread()
    rounds = 1 if quick else 9
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VIDEOCLF_CACHE"] = folder
        scene = encode_scene(Path(folder) / "scene.mp4", num_frames=60 if quick else 300, gop=12)
        yield in_frames(scene, [8, 16, 32] if quick else [8, 16, 32, 64, 128, 256], rounds)
        yield in_length(scene, [1, 2] if quick else [1, 4, 16, 64], rounds)
        yield in_rows([1000, 10_000] if quick else [1000, 10_000, 100_000, 1_000_000], rounds)


def in_frames(path: Path, counts: list[int], rounds: int) -> Row:
    """Read more and more consecutive frames of one video."""
    PyavReader(str(path)).close()

    def read(count: int) -> None:
        with PyavReader(str(path)) as reader:
            reader.frames(np.arange(count))

    sides = {count: lambda count=count: read(count) for count in counts}
    text = f"read, in distinct frames from {counts[0]} to {counts[-1]}: exponent"
    return exponent_row(text, sides, rounds, at_most=1.0)


def in_length(scene: Path, copies: list[int], rounds: int) -> Row:
    """Read clips from random places of longer and longer videos."""
    sides = {}
    for number in copies:
        path = repeat(scene, scene.with_name(f"{number}.mp4"), number)
        with PyavReader(str(path)) as reader:
            length = reader.num_frames
        starts = np.random.default_rng(0).integers(0, length - 57, 16)
        sides[length] = lambda path=path, starts=starts: read_clips(path, starts)
    text = (
        f"read a clip, in the video's length from {min(sides)} to {max(sides):,} frames: exponent"
    )
    return exponent_row(text, sides, rounds, at_most=0.1)


def read_clips(path: Path, starts: np.ndarray) -> None:
    """Open the video for each clip of 8 frames, stride 8."""
    for start in starts:
        with PyavReader(str(path)) as reader:
            reader.frames(start + 8 * np.arange(8))


def repeat(scene: Path, path: Path, times: int) -> Path:
    """Write a video over and over into one file, without encoding it again."""
    with av.open(str(scene)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        span = sum(packet.duration for packet in packets)
        stamps = [(packet.pts, packet.dts) for packet in packets]
        for number in range(times):
            for packet, (pts, dts) in zip(packets, stamps, strict=True):
                packet.stream = copy
                packet.pts, packet.dts = pts + number * span, dts + number * span
                packet.time_base = stream.time_base
                target.mux(packet)
    return path


def in_rows(counts: list[int], rounds: int) -> Row:
    """Open manifests and draw the order of an epoch."""

    def start(path: Path) -> None:
        manifest = Manifest.open(path)
        rows = manifest.rows("train").to_numpy()
        batches = TrainBatches(rows, batch_size=8, seed=0, rank=0, world=1)
        for _, row in next(iter(batches)):
            manifest.record(row)

    sides = {}
    for count in counts:
        path = write_manifest(count)
        sides[count] = lambda path=path: start(path)
    text = f"open a manifest, in its rows from {counts[0]:,} to {counts[-1]:,}: exponent"
    return exponent_row(text, sides, rounds, at_most=1.05)


def exponent_row(
    text: str, sides: Mapping[int, Callable[[], None]], rounds: int, *, at_most: float
) -> Row:
    """Time the sides, whose keys are sizes, and fit time ~ size ** exponent in each round."""
    seconds = interleaved({str(size): work for size, work in sides.items()}, rounds=rounds)
    sizes = np.log([float(size) for size in sides])
    slopes = []
    for number in range(rounds):
        times = [math.log(seconds[str(size)][number]) for size in sides]
        slopes.append(float(np.polyfit(sizes, times, 1)[0]))
    low, middle, high = quartiles(slopes)
    return Row(text, middle, low, high, "", at_most=at_most)


if __name__ == "__main__":
    report(measure)
