"""Does it pay to pretrain without labels? And what does hiding nine tenths of a clip save?

    python benchmarks/pretraining.py run runs/pretraining
    python benchmarks/pretraining.py write runs/pretraining

A small VideoMAE first learns to predict hidden tubelets of moving_shapes, without a label. It then
learns to name the motions from few labelled clips, once from random weights and once from the
pretrained encoder (`init_from`), with the same clips, steps, order of the data and seeds. Before
that, the encoder of videomae_s is timed with nine tenths of its tokens hidden and with none. Runs
that are done are kept. `write` makes the tables of docs/pretraining.md and its picture.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from page import fill_table

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
STARTS = ("scratch", "pretrained")
VALIDATION = "val/video_top1_1x1"
CLASSES = 8
SHARED = (
    "data=moving_shapes",
    "data.size_pixels=32",
    "transform.resize_pixels=32",
    "transform.crop_pixels=32",
    "model=videomae_small",
    "model.patch_pixels=8",
    "model.tubelet_frames=4",
    "model.width=64",
    "data.num_workers=1",
    "views.num_clips=1",
    "trainer=cpu",
)
PRETRAINING = (
    "task=masked_pretraining",
    "task.mask_ratio=0.5",
    "task.decoder_depth=2",
    "task.normalised_target=false",
    "data.num_val=80",
    "data.num_test=80",
    "data.batch_size=8",
    "data.clips_per_video=4",
    "optimizer.learning_rate=0.002",
    "optimizer.weight_decay=0.05",
    "optimizer.betas=[0.9,0.95]",
)
FINE_TUNING = (
    "data.batch_size=16",
    "trainer.check_val_every_n_epoch=20",
    "optimizer.learning_rate=0.001",
    "optimizer.weight_decay=0.05",
)
Curve = list[tuple[int, float]]


def run(arguments: argparse.Namespace) -> int:
    """Do what is not done yet, one run after the other, seed by seed."""
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    train(folder / "masked", *PRETRAINING, f"trainer.max_epochs={arguments.pretraining_epochs}")
    best = folder.resolve() / "masked" / "checkpoints" / "best.ckpt"
    for seed in range(arguments.seeds):
        for start in STARTS:
            settings = [
                *FINE_TUNING,
                f"data.num_train={CLASSES * arguments.labelled}",
                f"seed={seed}",
                f"trainer.max_epochs={arguments.epochs}",
            ]
            if start == "pretrained":
                settings.append(f"init_from={best}")
            train(folder / f"{start}_{seed}", *settings)
    if not (folder / "cost.json").is_file():
        (folder / "cost.json").write_text(json.dumps(measure_cost()), encoding="utf-8")
    return 0


def train(folder: Path, *settings: str) -> None:
    """Run train.py with one thread, unless its results are there."""
    if (folder / "results.json").is_file():
        print(f"{folder.name}: done before", flush=True)
        return
    command = [sys.executable, str(PROJECT / "train.py"), *SHARED, *settings, f"run_dir={folder}"]
    if (folder / "checkpoints" / "last.ckpt").is_file():
        command = [sys.executable, str(PROJECT / "train.py"), f"resume={folder}"]
    subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    print(f"{folder.name}: done", flush=True)


def measure_cost(repeats: int = 3) -> list[dict[str, float]]:
    """Time a step, forward and backward, of videomae_s's encoder on one clip of 16x224x224.

    Returns:
        For each share of hidden tokens: visible tokens, GMACs forward, median CPU seconds a step
        of one thread.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from videoclf.models.videomae import TubeletEncoder

    torch.set_num_threads(1)
    torch.manual_seed(0)
    encoder = TubeletEncoder(
        num_frames=16,
        image_size=224,
        patch_pixels=16,
        tubelet_frames=2,
        width=384,
        depth=12,
        num_heads=6,
        mlp_ratio=4.0,
        drop_path=0.0,
        positions="line",
        checkpoint_activations=False,
    )
    rgb, found = torch.randn(1, 3, 16, 224, 224), []
    for num_visible in (1568, 160):
        visible = torch.randperm(1568)[:num_visible].sort().values[None]
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            encoder(rgb, visible)
        seconds = []
        for _ in range(repeats + 1):  # the first one warms up
            began = time.process_time()
            encoder(rgb, visible).square().mean().backward()
            seconds.append(time.process_time() - began)
        macs = counter.get_total_flops() / 2e9
        found.append(
            {"visible": num_visible, "gmacs": macs, "seconds": statistics.median(seconds[1:])}
        )
    return found


def read_curve(folder: Path) -> Curve:
    """Return (optimiser steps, accuracy on the validation clips) of each validation."""
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


def cost_table(cost: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """Yield the lines of what hiding saves."""
    yield "| tokens in the encoder | GMACs forward | CPU s a step | share of MACs | of time |"
    yield "|---:|---:|---:|---:|---:|"
    whole = cost[0]
    for each in cost:
        macs, seconds = each["gmacs"] / whole["gmacs"], each["seconds"] / whole["seconds"]
        yield (
            f"| {each['visible']:,} | {each['gmacs']:.2f} | {each['seconds']:.2f} | {macs:.1%} | "
            f"{seconds:.1%} |"
        )


def table(folder: Path, curves: Mapping[str, Mapping[str, Curve]]) -> Iterator[str]:
    """Yield the lines of the table: validations and the test, by run, and the margin."""
    steps = [step for step, _ in next(iter(curves[STARTS[0]].values()))]
    yield "| start | seed | " + " | ".join(f"{n} steps" for n in steps) + " | test |"
    yield "|---|---:|" + "---:|" * (len(steps) + 1)
    tests: dict[str, dict[str, float]] = {start: {} for start in STARTS}
    for start in STARTS:
        for seed, curve in curves[start].items():
            results = json.loads((folder / f"{start}_{seed}" / "results.json").read_text())
            tests[start][seed] = results["metrics"]["test/video_top1_1x1"]
            cells = [f"{value:.3f}" for _, value in curve]
            yield f"| {start} | {seed} | " + " | ".join(cells) + f" | {tests[start][seed]:.3f} |"
        mean = statistics.mean(tests[start].values())
        yield f"| **{start}** | mean |" + " |" * len(steps) + f" **{mean:.3f}** |"
    margins = [tests["pretrained"][s] - tests["scratch"][s] for s in sorted(tests["pretrained"])]
    spread = statistics.stdev(margins) if len(margins) > 1 else 0.0
    yield ""
    yield (
        f"Margin of the test, pretrained less scratch: {statistics.mean(margins):+.3f} "
        f"(standard deviation {spread:.3f} over {len(margins)} seeds)."
    )


def draw(curves: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Draw the validation accuracy against steps: a thin line a seed, a thick one for the mean."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 4.5))
    for start, colour in zip(STARTS, ("#d1701f", "#1f5fa8"), strict=True):
        own = list(curves[start].values())
        steps = [0, *(step for step, _ in own[0])]
        values = [[1 / CLASSES, *(value for _, value in curve)] for curve in own]
        for line in values:
            axis.plot(steps, line, color=colour, alpha=0.35, linewidth=1)
        mean = [statistics.mean(column) for column in zip(*values, strict=True)]
        axis.plot(steps, mean, "o-", color=colour, linewidth=2.5, label=f"{start}, mean")
    axis.axhline(1 / CLASSES, color="grey", linewidth=1, linestyle=":", label="chance")
    axis.set_xlabel("optimiser steps on the labelled clips, 16 clips each")
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
    cost = json.loads((folder / "cost.json").read_text(encoding="utf-8"))
    curves = read_runs(folder)
    fill_table(DOCS / "pretraining.md", [*cost_table(cost), "", *table(folder, curves)])
    draw(curves, DOCS / "images" / "pretraining.png")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run", help="do what is not done")
    running.add_argument("folder")
    running.add_argument("--pretraining-epochs", type=int, default=24)
    running.add_argument("--epochs", type=int, default=80)
    running.add_argument("--labelled", type=int, default=16, help="clips a class")
    running.add_argument("--seeds", type=int, default=3)
    running.set_defaults(do=run)
    writing = commands.add_parser("write", help="write docs/pretraining.md and its picture")
    writing.add_argument("folder")
    writing.set_defaults(do=write)
    chosen = parser.parse_args(arguments)
    return int(chosen.do(chosen))


if __name__ == "__main__":
    sys.exit(main())
