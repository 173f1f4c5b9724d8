"""What a training step costs as the clip grows: recurrence, attention, convolution over time.

    python benchmarks/length_scaling.py [--quick]

Each point, one network at one number of frames, is measured in a process of its own with one
thread: CPU seconds of a training step (the median after a warm-up) and the most memory held
beyond what was held before the first step. `whole` networks read clips of 64 pixels; `alone`
is the part that fuses time, on features of the frames, which are given. Without `--quick`, the
table in docs/length_scaling.md and its picture are rewritten.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from page import fill_table
from torch import nn

from videoclf.build import build
from videoclf.cli.composing import compose_train
from videoclf.config import plain

DOCS = Path(__file__).parents[1] / "docs"
LENGTHS = (8, 16, 32, 64, 128, 256)
PIXELS, CLASSES = 64, 8
WARM_UP, MEASURED = 1, 3  # steps
_FRAME_CNN = ("model=cnn_rnn", "model.backbone=test_resnet", "model.hidden_size=256")
#: (part, name) -> overrides; networks of like cost at 8 frames
NETWORKS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("whole", "recurrence: LSTM over frame features"): _FRAME_CNN,
    ("whole", "recurrent convolution"): ("model=recurrent_cnn",),
    ("whole", "attention over frame features"): (*_FRAME_CNN, "model.sequence=transformer"),
    ("whole", "3D convolution"): ("model=resnet_3d_small",),
    ("whole", "3D convolution and non-local attention"): (
        "model=resnet_3d_small",
        "model.non_local_places=[[res3,0]]",
    ),
    ("alone", "LSTM"): _FRAME_CNN,
    ("alone", "ConvLSTM"): (*_FRAME_CNN, "model.sequence=conv_lstm"),
    ("alone", "temporal transformer"): (*_FRAME_CNN, "model.sequence=transformer"),
    ("alone", "temporal convolution"): (*_FRAME_CNN, "model.sequence=temporal_conv"),
}
COLOURS = ("#1f5fa8", "#d1701f", "#3b8c4a", "#8a4fa3", "#b0303a")
Point = tuple[tuple[str, str], int]


def measure_point(point: Point) -> tuple[float, float]:
    """Return CPU seconds of a training step and its peak memory in bytes."""
    network, num_frames = point
    torch.manual_seed(0)
    clip = torch.randn(1, num_frames, PIXELS, PIXELS, 3).permute(0, 4, 1, 2, 3)
    model = build_network(network, num_frames).train()
    forward, given = model.forward, clip
    if network[0] == "alone":
        with torch.no_grad():
            frames = model.encode_frames(clip[0].transpose(0, 1))  # type: ignore[operator]
        forward, given = model.fuse, frames[None]  # type: ignore[assignment]
    seconds, before = [], peak_bytes()
    for _ in range(WARM_UP + MEASURED):
        began = time.process_time()
        model.zero_grad()
        nn.functional.cross_entropy(forward(given), torch.tensor([1])).backward()
        seconds.append(time.process_time() - began)
    return statistics.median(seconds[WARM_UP:]), peak_bytes() - before


def build_network(network: tuple[str, str], num_frames: int) -> nn.Module:
    """Build a network for clips of a length."""
    sizes = [f"sampler.num_frames={num_frames}", f"transform.crop_pixels={PIXELS}"]
    config = compose_train([*NETWORKS[network], f"data.num_classes={CLASSES}", *sizes])
    model: nn.Module = build(plain(config.model), name="model")
    return model


def peak_bytes() -> int:
    """Return the most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def growth(values: Mapping[int, float]) -> float:
    """Return the exponent p of cost ~ T^p between a quarter of the greatest length and it."""
    last = max(values)
    return math.log(values[last] / values[last // 4]) / math.log(4)


def table(points: Mapping[Point, tuple[float, float]], lengths: tuple[int, ...]) -> Iterator[str]:
    """Yield the lines of two tables, time and memory, each with the growth at its end."""
    for column, (title, form, scale) in enumerate(
        (("CPU ms a step", ",.0f", 1e3), ("peak memory, MB", ",.0f", 1e-6))
    ):
        if column:
            yield ""
        yield f"| {title} | " + " | ".join(f"T = {n}" for n in lengths) + " | grows as |"
        yield "|---|" + "---:|" * (len(lengths) + 1)
        for part, name in NETWORKS:
            if part == "alone" and column:
                continue  # its memory is that of the frames' CNN, which made the features
            values = {n: points[(part, name), n][column] for n in lengths}
            cells = [format(values[n] * scale, form) for n in lengths]
            title = name if part == "whole" else f"fusing alone: {name}"
            yield f"| {title} | " + " | ".join(cells) + f" | T^{growth(values):.2f} |"


def draw(points: Mapping[Point, tuple[float, float]], path: Path) -> None:
    """Draw time and memory against the number of frames, both axes logarithmic."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = (
        ("whole", 0, 1.0, "CPU seconds a training step"),
        ("whole", 1, 1e-6, "peak memory, MB"),
        ("alone", 0, 1.0, "CPU seconds a step, fusing alone"),
    )
    figure, axes = plt.subplots(len(panels), 1, figsize=(8, 13))
    for (part, column, scale, title), axis in zip(panels, axes, strict=True):
        names = [name for own, name in NETWORKS if own == part]
        for name, colour in zip(names, COLOURS, strict=False):
            values = [points[(part, name), n][column] * scale for n in LENGTHS]
            axis.plot(LENGTHS, values, "o-", color=colour, label=name, markersize=4)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xticks(LENGTHS, [str(n) for n in LENGTHS])
        axis.set_xlabel("frames of the clip")
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=88)
    plt.close(figure)


def main() -> None:
    """Measure all points and write page and picture; with --quick, print a few only."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two lengths, nothing is written")
    lengths = (8, 32) if parser.parse_args().quick else LENGTHS
    torch.set_num_threads(1)
    points: list[Point] = [(network, n) for network in NETWORKS for n in lengths]
    measured: dict[Point, tuple[float, float]] = {}
    for network in NETWORKS:  # imports all that a point needs, once
        build_network(network, lengths[0])
    # forked, so that none imports torch again; one point a process, for its peak of memory
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        for point, found in zip(points, pool.imap(measure_point, points), strict=True):
            measured[point] = found
            (part, name), n = point
            print(
                f"{part}: {name}, {n} frames: {found[0]:.3f} s, {found[1] / 1e6:.0f} MB", flush=True
            )
    if lengths == LENGTHS:
        fill_table(DOCS / "length_scaling.md", table(measured, lengths))
        draw(measured, DOCS / "images" / "length_scaling.png")


if __name__ == "__main__":
    main()
