"""Optical flow: frames a second of CPU time, per method and size; on request what it is worth.

`python benchmarks/flow_speed.py` times each method on one core. RAFT has random weights, which
cost what trained ones cost. Three more measurements are asked for by name:

    warp FOLDER SHORT_SIDE [METHOD ...]
        photometric error on real videos: how far frame t is from frame t+1 brought back by the
        flow, mean of the grey levels' difference; and how far the flow of the mirrored pair differs
    processes
        wall time of `videoclf flow` with 1 and with 2 processes
    memory
        its main process on 20 and on 200 small videos
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from table import Row, report
from timing import interleaved, quartiles
from torchvision.models import optical_flow
from videos import PREPARED, draw_scene, encode_scene

from videoclf.data.formats.video_files import videos_below
from videoclf.errors import UnreadableVideoError
from videoclf.flow import FlowEstimator
from videoclf.flow.dis import Dis
from videoclf.flow.farneback import Farneback
from videoclf.flow.lucas_kanade import LucasKanade
from videoclf.flow.raft import Raft
from videoclf.flow.tvl1 import TvL1
from videoclf.readers.geometry import scaled_size
from videoclf.readers.pyav import PyavReader

SHORT_SIDES = (128, 256)
PAIRS_A_VIDEO = 1
ESTIMATORS: dict[str, FlowEstimator] = {
    "dis ultrafast": Dis(preset="ultrafast"),
    "dis fast": Dis(preset="fast"),
    "dis medium (default)": Dis(),
    "farneback": Farneback(),
    "lucas_kanade": LucasKanade(),
    "tvl1": TvL1(),
}
SLOW = ("tvl1", "raft")


def measure(*, quick: bool) -> Iterator[Row]:
    """Time each method at each size, the quick methods in turns, the slow ones on one pair."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        estimators = {**ESTIMATORS, **_rafts(Path(folder))}
        for short_side in SHORT_SIDES[:1] if quick else SHORT_SIDES:
            frames = _scene(3 if quick else 9, short_side)
            sides: dict[str, Callable[[], object]] = {}
            pairs = {}
            for name, estimator in estimators.items():
                clip = frames[:2] if name.startswith(SLOW) else frames
                sides[name] = partial(estimator.estimate, clip)
                pairs[name] = len(clip) - 1
            fast = {name: side for name, side in sides.items() if not name.startswith(SLOW)}
            slow = {name: side for name, side in sides.items() if name.startswith(SLOW)}
            seconds = interleaved(fast, rounds=1 if quick else 7)
            seconds |= interleaved(slow, rounds=1 if quick else 3)
            for name, each in seconds.items():
                low, middle, high = quartiles([pairs[name] / took for took in each])
                size = f"{frames.shape[2]}x{frames.shape[1]}"
                yield Row(f"flow by {name}, {size}, one core", middle, low, high, "frames/s")


def _rafts(folder: Path) -> dict[str, FlowEstimator]:
    builders = {"small": optical_flow.raft_small, "large": optical_flow.raft_large}
    rafts: dict[str, FlowEstimator] = {}
    for size, builder in builders.items():
        torch.save(builder(weights=None).state_dict(), folder / f"{size}.pth")
        weights = str(folder / f"{size}.pth")
        rafts[f"raft {size}"] = Raft(size=size, weights=weights, device="cpu")
    return rafts


def _scene(num_frames: int, short_side: int) -> np.ndarray:
    size = scaled_size(*PREPARED, short_side)
    return np.stack(list(draw_scene(num_frames, size, seed=0)))  # (T, H, W, 3)


def warp_errors(folder: Path, short_side: int, names: Sequence[str]) -> None:
    """Print the photometric error of each method over pairs of frames of the videos in a folder."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    num_videos = 0
    for path in videos_below(folder, reader="pyav"):
        try:
            pairs = _pairs(folder / path, short_side)
        except UnreadableVideoError:
            continue
        num_videos += bool(pairs)
        for pair in pairs:
            for name in names:
                found[name].append(_judge(ESTIMATORS[name], pair))
    num_pairs = len(found[names[0]])
    print(f"{num_pairs} pairs of {num_videos} videos, short side {short_side} or less")
    still = statistics.mean(still for _, still, _ in found[names[0]])
    print(f"no flow | {still:.2f} grey levels")
    for name, each in found.items():
        warped, _, mirrored = (statistics.mean(column) for column in zip(*each, strict=True))
        print(
            f"{name} | {warped:.2f} grey levels | {warped / still:.0%} of no flow | the mirrored "
            f"pair's flow differs by {mirrored:.4f} px",
            flush=True,
        )


def _pairs(path: Path, short_side: int) -> list[np.ndarray]:
    """Read pairs of neighbouring frames, uint8 (2, H, W, 3), from the inside of a video."""
    with PyavReader(str(path), cache=False) as reader:
        if reader.num_frames < 2:
            return []
        side = min(short_side, reader.height, reader.width)
        firsts = np.linspace(0, reader.num_frames - 2, PAIRS_A_VIDEO + 2)[1:-1].astype(int)
        return [reader.frames(np.array([t, t + 1]), short_side=side) for t in np.unique(firsts)]


def _judge(estimator: FlowEstimator, pair: np.ndarray) -> tuple[float, float, float]:
    """Return the error with the flow and without, and the mirrored flow's distance in pixels."""
    field = estimator.estimate(pair)[0]  # (H, W, 2)
    first, second = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in pair)
    y, x = np.mgrid[: len(field), : field.shape[1]].astype(np.float32)
    back = cv2.remap(
        second, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    mirrored = estimator.estimate(np.ascontiguousarray(pair[:, :, ::-1]))[0, :, ::-1]
    distance = np.linalg.norm(mirrored * np.array([-1, 1], np.float32) - field, axis=-1)
    still = float(np.abs(first - second).mean())
    return float(np.abs(first - back).mean()), still, float(distance.mean())


def processes(num_videos: int = 8) -> None:
    """Print the wall time of `videoclf flow` with 1 and 2 processes, in turns."""
    with tempfile.TemporaryDirectory() as name:
        videos = _videos(Path(name), num_videos, num_frames=60)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(2):
            for count in (1, 2):
                seconds[count].append(_flow(videos, Path(name, f"{turn} {count}"), count)[0])
        load = os.getloadavg()[0]
        for count, each in seconds.items():
            print(f"{count} processes | {statistics.median(each):.1f} s | load {load:.1f}")
        ratios = [one / two for one, two in zip(*seconds.values(), strict=True)]
        print(f"2 processes are {statistics.median(ratios):.2f} times as fast as 1")


def memory() -> None:
    """Print the peak of the main process for few and for many videos."""
    for count in (20, 200):
        with tempfile.TemporaryDirectory() as name:
            videos = _videos(Path(name), count, num_frames=3)
            peak = _flow(videos, Path(name, "flow"), 1)[1]
        print(f"{count} videos | {peak / 1e6:.1f} MB", flush=True)


def _videos(folder: Path, count: int, num_frames: int) -> Path:
    videos = folder / "videos" / "one"
    videos.mkdir(parents=True)
    for number in range(count):
        encode_scene(videos / f"{number}.mp4", num_frames=num_frames, gop=12, seed=number)
    return videos.parent


def _flow(videos: Path, destination: Path, num_processes: int) -> tuple[float, int]:
    """Run `videoclf flow`; return seconds, and the peak of its main process in bytes."""
    command = [sys.executable, "-m", "videoclf", "flow", str(videos), str(destination)]
    began, peak = time.monotonic(), 0
    options = ["--processes", str(num_processes), "--short-side", "128"]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) as run:
        while run.poll() is None:
            peak = max(peak, _peak_bytes(run.pid))
            time.sleep(0.02)
    if run.returncode:
        sys.exit(f"videoclf flow ended with exit code {run.returncode}")
    return time.monotonic() - began, peak


def _peak_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0][1]) * 1024 if lines else 0


if __name__ == "__main__":
    wanted = sys.argv[1:2]
    if wanted == ["warp"]:
        warp_errors(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] or list(ESTIMATORS))
    elif wanted == ["processes"]:
        processes()
    elif wanted == ["memory"]:
        memory()
    else:
        report(measure)
