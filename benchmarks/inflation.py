"""Does it pay to inflate a trained 2D network? The same video network, from scratch and inflated.

    python benchmarks/inflation.py run runs/inflation
    python benchmarks/inflation.py write runs/inflation

A 2D network learns what drawn shapes are called, from single frames (data=named_shapes). The same
network, inflated, then learns how they move (data=moving_shapes), once from random weights and
once from the 2D network's (`init_from`), with the same steps, the same order of the data and the
same seeds. Runs that are done are kept. `write` makes the table of docs/inflation.md and its
picture of learning curves.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from page import fill_table

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
STARTS = ("scratch", "inflated")
VALIDATION = "val/video_top1_1x1"
SHARED = (
    "model.backbone=test_resnet",
    "data.num_workers=1",
    "trainer=cpu",
    "trainer.precision=32-true",
)
Curve = list[tuple[int, float]]


def run(arguments: argparse.Namespace) -> int:
    """Train what is not done yet, one run after the other, seed by seed."""
    folder = Path(arguments.folder)
    train(folder / "2d", "data=named_shapes", "model=single_frame")
    for seed in range(arguments.seeds):
        for start in STARTS:
            settings = [
                "data=moving_shapes",
                "model=inflated",
                f"seed={seed}",
                f"trainer.max_epochs={arguments.epochs}",
            ]
            if start == "inflated":
                best = folder.resolve() / "2d" / "checkpoints" / "best.ckpt"
                settings += [f"init_from={best}", "init_from_allow_unmatched=true"]
            train(folder / f"{start}_{seed}", *settings)
    return 0


def train(folder: Path, *settings: str) -> None:
    """Run train.py with one thread, unless its results are there."""
    if (folder / "results.json").is_file():
        print(f"{folder.name}: done before", flush=True)
        return
    command = [sys.executable, str(PROJECT / "train.py"), *SHARED, *settings, f"run_dir={folder}"]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    print(f"{folder.name}: done", flush=True)


def read_curve(folder: Path) -> Curve:
    """Return (optimiser steps, accuracy on the validation clips) after each epoch."""
    with (folder / "metrics.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row[VALIDATION]]
    return [(int(row["step"]) + 1, float(row[VALIDATION])) for row in rows]


def read_runs(folder: Path) -> Mapping[str, Mapping[str, Curve]]:
    """Return the curves of the finished runs, by start and by seed."""
    return {
        start: {
            path.parent.name.rpartition("_")[2]: read_curve(path.parent)
            for path in sorted(folder.glob(f"{start}_*/results.json"))
        }
        for start in STARTS
    }


def table(folder: Path, curves: Mapping[str, Mapping[str, Curve]]) -> Iterator[str]:
    """Yield the lines of the table: the validation after each epoch, and the test, by run."""
    steps = [step for step, _ in next(iter(curves[STARTS[0]].values()))]
    yield "| start | seed | " + " | ".join(f"{n} steps" for n in steps) + " | test |"
    yield "|---|---:|" + "---:|" * (len(steps) + 1)
    for start in STARTS:
        tests = []
        for seed, curve in curves[start].items():
            results = json.loads((folder / f"{start}_{seed}" / "results.json").read_text())
            tests.append(results["metrics"]["test/video_top1_3x1"])
            cells = [f"{value:.3f}" for _, value in curve]
            yield f"| {start} | {seed} | " + " | ".join(cells) + f" | {tests[-1]:.3f} |"
        means = [
            f"**{statistics.mean(values):.3f}**"
            for values in zip(
                *([v for _, v in curve] for curve in curves[start].values()), strict=True
            )
        ]
        mean = f"**{statistics.mean(tests):.3f}**"
        yield f"| **{start}** | mean | " + " | ".join(means) + f" | {mean} |"


def draw(curves: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Draw the validation accuracy against steps: a thin line a seed, a thick one for the mean."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 4.5))
    for start, colour in zip(STARTS, ("#d1701f", "#1f5fa8"), strict=True):
        own = list(curves[start].values())
        steps = [0, *(step for step, _ in own[0])]
        values = [[1 / 8, *(value for _, value in curve)] for curve in own]
        for line in values:
            axis.plot(steps, line, color=colour, alpha=0.35, linewidth=1)
        mean = [statistics.mean(column) for column in zip(*values, strict=True)]
        axis.plot(steps, mean, "o-", color=colour, linewidth=2.5, label=f"{start}, mean")
    axis.axhline(1 / 8, color="grey", linewidth=1, linestyle=":", label="chance")
    axis.set_xlabel("optimiser steps on moving_shapes, 16 clips each")
    axis.set_ylabel("top-1 of the validation clips")
    axis.set_ylim(0, 1.02)
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=88)
    plt.close(figure)


def write(arguments: argparse.Namespace) -> int:
    """Write the page's table and its picture from the finished runs."""
    folder = Path(arguments.folder)
    curves = read_runs(folder)
    fill_table(DOCS / "inflation.md", table(folder, curves))
    draw(curves, DOCS / "images" / "inflation.png")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run", help="train the runs that are not done")
    running.add_argument("folder")
    running.add_argument("--epochs", type=int, default=6)
    running.add_argument("--seeds", type=int, default=3)
    running.set_defaults(do=run)
    writing = commands.add_parser("write", help="write docs/inflation.md and its picture")
    writing.add_argument("folder")
    writing.set_defaults(do=write)
    chosen = parser.parse_args(arguments)
    return int(chosen.do(chosen))


if __name__ == "__main__":
    sys.exit(main())
