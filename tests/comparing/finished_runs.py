"""Run folders as a run leaves them, made in a moment: what is right in them is chosen."""

import csv

import numpy as np
import yaml

from videoclf.data.manifest import Manifest
from videoclf.reports.predictions import Predictions, write_predictions
from videoclf.reports.results import Results

CLASSES = ("left", "right")
MODEL = {
    "_target_": "videoclf.models.slow_fusion.SlowFusion",
    "num_classes": 2,
    "num_frames": 4,
    "widths": [4, 8],
    "temporal_strides": [1, 2],
    "convs_per_stage": 1,
    "dropout": 0.0,
}


def make_run(
    folder,
    hits,
    *,
    seed=0,
    model="slow_fusion",
    groups=None,
    config=(),
    protocol=(),
    curve=(),
    train_seconds=60.0,
):
    """Write a run whose video n is right where `hits[n]`; return its folder.

    Args:
        folder: is made.
        hits: truth values, one a video.
        seed: of the training.
        model: name of the choice.
        groups: of the videos, for the manifest.
        config: further settings, (dotted key, value).
        protocol: further entries of the protocol, (key, value).
        curve: (step, seconds, validated accuracy or None), one a row of metrics.csv.
        train_seconds: of the timing.
    """
    count = len(hits)
    labels = [(n % 2,) for n in range(count)]
    paths = [f"{n}.mp4" for n in range(count)]
    manifest = Manifest.from_columns(
        class_names=CLASSES, paths=paths, labels=labels, subsets=["test"] * count, groups=groups
    )
    kept = manifest.save()
    settings = {
        "seed": seed,
        "run_dir": str(folder),
        "sampler": {"num_frames": 4, "stride": 1},
        "transform": {"crop_pixels": 32},
        "optimizer": {"learning_rate": 0.002},
        "checkpoint": {"monitor": "val/video_top1_1x1"},
        "data": {"_target_": "videoclf.data.formats.Csv", "root": str(folder), "batch_size": 8},
        "model": dict(MODEL),
        "choices": {"model": model, "data": "csv", "optimizer": "adamw", "logger": "csv"},
        "manifest": {"path": str(kept), "sha256": manifest.sha256},
    }
    for key, value in config:
        node = settings
        *parents, last = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    said = {"subset": "test", "num_clips": 2, "num_crops": 1, "average": "probabilities"}
    said |= dict(protocol)
    hits = np.asarray(hits, dtype=bool)
    predicted = np.where(hits, np.arange(count) % 2, 1 - np.arange(count) % 2)
    write_predictions(
        folder / "predictions.parquet",
        Predictions(
            paths=paths,
            starts=[None] * count,
            ends=[None] * count,
            labels=labels,
            probabilities=np.eye(2, dtype=np.float32)[predicted] * 0.6 + 0.2,
            available=np.ones(count, dtype=bool),
            class_names=CLASSES,
            protocol=said,
            manifest_sha256=manifest.sha256,
        ),
    )
    Results(
        metrics={"test/video_top1_2x1": float(hits.mean())},
        counts={"expected": count, "evaluated": count, "missing": 0},
        protocol=said,
        classes=CLASSES,
        manifest_sha256=manifest.sha256,
        environment={"device": "1 x cpu", "cpu_count": 2},
        timing={"train_seconds": train_seconds},
        command="python train.py",
    ).save(folder / "results.json")
    if curve:
        with (folder / "metrics.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["epoch", "step", "time_seconds", "val/video_top1_1x1"])
            rows.writerows([0, *(("" if cell is None else cell) for cell in row)] for row in curve)
    return folder
