"""Every fusion strategy, the same data, the same CPU time: the sweep behind docs/strategies.md.

    python benchmarks/strategies.py run runs/strategies --sets moving_shapes ucf101 \
        --ucf-root /videos --ucf-annotations /ucfTrainTestlist
    python benchmarks/strategies.py write runs/strategies

A cell is one strategy on one data set: one `train.py` in its own process. Wall time means nothing
on a machine that others use, so the budget is CPU time of training steps: each strategy's step is
measured first (`measure`), and the budget divided by it is its number of optimiser steps, over
which its learning rate follows the cosine. Cells that have results are kept: stopped, the same
command goes on where it was. `write` fills in what was run, and leaves the rest empty.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page import fill_table

PROJECT = Path(__file__).parents[1]
SETS = ("moving_shapes", "ucf101")
CHANCE = {"moving_shapes": 1 / 8, "ucf101": 1 / 3}
VALIDATIONS = 4  # at most, of a cell: they cost time that is not training

_TEST_RESNET = "model.backbone=test_resnet"  # timm's smallest ResNet, 0.37 M parameters
_SMALL_18 = ("model.widths=[16,32,64,128]", "model.blocks=[1,1,1,1]")


@dataclass(frozen=True)
class Strategy:
    """A row of the table: how it is called, and the overrides that make its small variant."""

    name: str
    overrides: tuple[str, ...]


#: In the order of the textbook: from no fusion to ever more.
STRATEGIES = (
    Strategy("single frame", ("model=single_frame", _TEST_RESNET)),
    Strategy(
        "late fusion, FC",
        ("model=late_fusion_fc", _TEST_RESNET, "model.map_channels=32", "model.hidden=[128]"),
    ),
    Strategy("late fusion, average", ("model=late_fusion_pool", _TEST_RESNET)),
    Strategy("late fusion, max", ("model=late_fusion_pool", _TEST_RESNET, "model.pooling=max")),
    Strategy(
        "late fusion, attention",
        ("model=late_fusion_pool", _TEST_RESNET, "model.pooling=attention"),
    ),
    Strategy("late fusion, conv", ("model=late_fusion_pool", _TEST_RESNET, "model.pooling=conv")),
    Strategy("early fusion", ("model=early_fusion", _TEST_RESNET)),
    Strategy("slow fusion", ("model=slow_fusion",)),
    Strategy(
        "slow fusion (Karpathy)",
        (
            "model=karpathy_slow",
            "model.widths=[24,64,96,96,64]",
            "model.hidden=[256,256]",
            "model.temporal_strides=[2,1,1,1,1]",
        ),
    ),
    Strategy(
        "frame differences", ("model=temporal_difference", "model.temporal_strides=[1,2,2,1]")
    ),
    Strategy(
        "C3D",
        (
            "model=c3d_small",
            "model.widths=[16,32,64,64,64]",
            "model.hidden=[256,256]",
            "model.temporal_pools=[1,2,2,2,1]",
        ),
    ),
    Strategy("R3D", ("model=r3d_18", *_SMALL_18)),
    Strategy("MC3", ("model=mc3_18", *_SMALL_18)),
    Strategy("R(2+1)D", ("model=r2plus1d_18", *_SMALL_18)),
    Strategy("R3D, bottlenecks", ("model=resnet_3d_small",)),
    Strategy("S3D", ("model=s3d",)),
    Strategy("inflated 2D CNN", ("model=inflated", _TEST_RESNET)),
    Strategy("I3D", ("model=i3d", "model.width_multiplier=0.25", "model.dropout=0.0")),
    Strategy("non-local", ("model=resnet_3d_small", "model.non_local_places=[[res3,0],[res4,0]]")),
    Strategy("CNN + LSTM", ("model=cnn_rnn", _TEST_RESNET)),
    Strategy("CNN + ConvLSTM", ("model=cnn_rnn", _TEST_RESNET, "model.sequence=conv_lstm")),
    Strategy("recurrent CNN", ("model=recurrent_cnn",)),
    Strategy("GRU-RCN", ("model=gru_rcn", _TEST_RESNET, "model.widths=[16,32,32,64,64]")),
    Strategy("SlowFast", ("model=slowfast_small",)),
    Strategy("X3D-XS", ("model=x3d_xs", "model.dropout=0.0")),
)


def folder_name(strategy: Strategy) -> str:
    """Return a name for files: letters, digits and underscores."""
    letters = (letter if letter.isalnum() else " " for letter in strategy.name.lower())
    return "_".join("".join(letters).split())


def data_overrides(data: str, arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the overrides that choose a data set; its recipe comes with it."""
    if data == "moving_shapes":
        return ("data=moving_shapes",)
    return (
        "data=ucf101",
        f"data.root={arguments.ucf_root}",
        f"data.annotations={arguments.ucf_annotations}",
        "data.split=1",
        # 16 clips of 8 frames a step, as on moving_shapes: more steps for the same CPU time
        "sampler.num_frames=8",
        "sampler.stride=4",
        "data.clips_per_video=2",
        "ema_decay=null",  # an average over 100 steps would keep the start of so short a run
    )


def schedule(num_steps: int, steps_per_epoch: int) -> tuple[int, int, int]:
    """Return (epochs, steps of each, epochs between validations) of about `num_steps` steps.

    With 250 steps and 100 an epoch: 3 epochs of 83 steps, each validated. With 1,000: 12 epochs
    of 83, every third validated.
    """
    epochs = max(1, math.ceil(num_steps / steps_per_epoch))
    every = math.ceil(epochs / VALIDATIONS)
    epochs = math.ceil(epochs / every) * every
    return epochs, max(1, num_steps // epochs), every


def run(arguments: argparse.Namespace) -> int:
    """Measure, then train, each cell that is not done; return the number of failed cells."""
    cells = [(data, s) for data in arguments.sets for s in STRATEGIES]
    failed = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for line in pool.map(lambda cell: run_cell(*cell, arguments), cells):
            failed += "FAILED" in line
            print(line, flush=True)
    return failed


def run_cell(data: str, strategy: Strategy, arguments: argparse.Namespace) -> str:
    """Measure and train one cell unless it is done; return a line that says how it went."""
    folder = Path(arguments.folder) / data / folder_name(strategy)
    if (folder / "run" / "results.json").is_file():
        return f"{data} {strategy.name}: done before"
    folder.mkdir(parents=True, exist_ok=True)
    overrides = [
        *data_overrides(data, arguments),
        *strategy.overrides,
        "trainer=cpu",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    measured = folder / "step.json"
    commands = [[str(PROJECT / "benchmarks" / "strategy_step.py"), str(measured), *overrides]]
    if measured.is_file():
        commands.clear()
    with (folder / "log.txt").open("a") as log:
        for command in commands:
            if subprocess.run(
                [sys.executable, *command], env=environment, stdout=log, stderr=log, check=False
            ).returncode:
                return f"{data} {strategy.name}: FAILED to measure; see {log.name}"
        facts = json.loads(measured.read_text())
        steps = max(1, round(arguments.cpu_seconds / facts["step_cpu_seconds"]))
        epochs, limit, every = schedule(steps, facts["steps_per_epoch"])
        command = [
            str(PROJECT / "train.py"),
            *overrides,
            f"trainer.max_epochs={epochs}",
            f"trainer.limit_train_batches={limit}",
            f"trainer.check_val_every_n_epoch={every}",
            "data.num_workers=1",
            f"run_dir={folder / 'run'}",
        ]
        finished = subprocess.run(
            [sys.executable, *command], env=environment, stdout=log, stderr=log, check=False
        )
    if finished.returncode:
        return f"{data} {strategy.name}: FAILED, exit code {finished.returncode}; see {log.name}"
    return f"{data} {strategy.name}: {epochs * limit} steps"


def read_cell(folder: Path) -> dict[str, Any]:
    """Return what a cell's folder holds: measured facts, accuracies, steps; {} before any."""
    cell: dict[str, Any] = {}
    if (folder / "step.json").is_file():
        cell |= json.loads((folder / "step.json").read_text())
    results, metrics = folder / "run" / "results.json", folder / "run" / "metrics.csv"
    if results.is_file():
        found = json.loads(results.read_text())["metrics"]
        cell["test"] = next(v for k, v in found.items() if k.startswith("test/video_top1"))
        with metrics.open() as lines:
            rows = list(csv.DictReader(lines))
        cell["train"] = float([r["train/clip_top1"] for r in rows if r["train/clip_top1"]][-1])
        cell["steps"] = max(int(row["step"]) for row in rows) + 1
    return cell


def table(cells: dict[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the Markdown table."""

    def say(cell: dict[str, Any], key: str, form: str, scale: float = 1.0) -> str:
        return format(cell[key] * scale, form) if key in cell else ""

    yield (
        "| strategy | parameters (k) | "
        + " | ".join(
            f"{data}: test | train | steps | MMACs a clip | CPU s a step | peak MB" for data in SETS
        )
        + " |"
    )
    yield "|---|" + "---:|" * (1 + 6 * len(SETS))
    for strategy in STRATEGIES:
        columns = []
        for data in SETS:
            cell = cells[data, strategy.name]
            columns += [
                say(cell, "test", ".3f"),
                say(cell, "train", ".3f"),
                say(cell, "steps", ".0f"),
                say(cell, "macs", ",.0f", 1e-6),
                say(cell, "step_cpu_seconds", ".2f"),
                say(cell, "peak_bytes", ",.0f", 1e-6),
            ]
        first = cells[SETS[0], strategy.name] or cells[SETS[1], strategy.name]
        parameters = say(first, "parameters", ",.0f", 1e-3)
        yield f"| {strategy.name} | {parameters} | " + " | ".join(columns) + " |"


def write(arguments: argparse.Namespace) -> int:
    """Write the table between the markers of the page, and the picture beside it."""
    folder = Path(arguments.folder)
    cells = {(d, s.name): read_cell(folder / d / folder_name(s)) for d in SETS for s in STRATEGIES}
    fill_table(PROJECT / "docs" / "strategies.md", table(cells))
    draw(cells, PROJECT / "docs" / "images" / "strategies.png")
    return 0


def draw(cells: dict[tuple[str, str], dict[str, Any]], path: Path) -> None:
    """Draw a bar for each strategy's accuracy, a panel a data set, and beside them its cost."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shown = [data for data in SETS if any("test" in cells[data, s.name] for s in STRATEGIES)]
    figure, axes = plt.subplots(
        1, len(shown) + 1, figsize=(10, 8), sharey=True, layout="constrained"
    )
    rows = range(len(STRATEGIES))
    for data, axis in zip(shown, axes, strict=False):
        tests = [cells[data, strategy.name].get("test", 0.0) for strategy in STRATEGIES]
        axis.barh(rows, tests, color="#1f5fa8", height=0.7)
        for row, test in zip(rows, tests, strict=True):
            axis.text(test + 0.015, row, f"{test:.2f}" if test else "", va="center", fontsize=8)
        axis.axvline(CHANCE[data], color="grey", linewidth=1, linestyle=":")
        axis.set_title(f"{data}: top-1 of the test videos", fontsize=10)
        axis.set_xlim(0, 1.12)
    for data, marker in zip(shown, "os", strict=False):
        costs = [cells[data, strategy.name].get("macs", math.nan) / 1e6 for strategy in STRATEGIES]
        axes[-1].plot(costs, rows, marker, color="#d1701f", markersize=5, label=data)
    axes[-1].set_xscale("log")
    axes[-1].set_title("multiply-accumulates a clip, millions", fontsize=10)
    axes[-1].legend(fontsize=8)
    axes[-1].grid(axis="both", alpha=0.3)
    axes[0].set_yticks(rows, [strategy.name for strategy in STRATEGIES], fontsize=9)
    axes[0].invert_yaxis()
    figure.savefig(path, dpi=88)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run", help="measure and train the cells that are not done")
    running.add_argument("folder", help="of the sweep's runs")
    running.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    running.add_argument("--ucf-root")
    running.add_argument("--ucf-annotations")
    running.add_argument("--cpu-seconds", type=float, default=90.0, help="of training, a cell")
    running.add_argument("--jobs", type=int, default=2, help="cells at a time, one thread each")
    running.set_defaults(do=run)
    writing = commands.add_parser("write", help="write docs/strategies.md and its picture")
    writing.add_argument("folder", help="of the sweep's runs")
    writing.set_defaults(do=write)
    chosen = parser.parse_args(arguments)
    return int(chosen.do(chosen))


if __name__ == "__main__":
    sys.exit(main())
