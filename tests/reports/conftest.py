"""A made-up run: its folder with results, predictions, curves and config, in a few variations."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from videoclf.reports.metrics_csv import MetricsTable
from videoclf.reports.predictions import Predictions, write_predictions
from videoclf.reports.results import Results

PROTOCOL = {"subset": "test", "num_clips": 10, "num_crops": 3, "average": "probabilities"}
CLASSES = ("left", "right", "<script>alert(1)</script>", 'quote " & <b>', "up")


@pytest.fixture
def make_results():
    """Results as a run gives them; keywords replace fields."""

    def make(**fields):
        return Results(
            **{
                "metrics": {"test/video_top1_10x3": 0.75, "test/clip_top1": 0.5},
                "counts": {"expected": 20, "evaluated": 20, "missing": 0},
                "protocol": PROTOCOL,
                "classes": CLASSES,
                "manifest_sha256": "ab" * 32,
                "environment": {"python": "3.11", "device": "cpu", "packages": {"torch": "2.15"}},
                "timing": {
                    "wall_seconds": 95.0,
                    "clips_per_second": 1234.5,
                    "data_wait_share": 0.042,
                },
                "command": "python train.py seed=1",
                **fields,
            }
        )

    return make


@pytest.fixture
def make_predictions():
    """Predictions whose every fourth video is taken for the next class."""

    def make(num=20, classes=CLASSES, missing=(), multi_label=False):
        num_classes = len(classes)
        labels = [(i % num_classes,) for i in range(num)]
        probabilities = np.full((num, num_classes), 0.1, np.float32)
        for i, (label,) in enumerate(labels):
            said = (label + 1) % num_classes if i % 4 == 0 else label
            probabilities[i, said] = 0.9 + i / 1000
        if multi_label:
            labels = [(*row, (row[0] + 2) % num_classes) for row in labels]
        return Predictions(
            paths=[f"videos/{i:02d} <i>.avi" for i in range(num)],
            starts=[None] * num,
            ends=[None] * num,
            labels=labels,
            probabilities=probabilities,
            available=np.array([i not in missing for i in range(num)], bool),
            class_names=tuple(classes),
            protocol=PROTOCOL,
            manifest_sha256="ab" * 32,
            multi_label=multi_label,
        )

    return make


@pytest.fixture
def make_run(tmp_path, make_results, make_predictions):
    """A whole run folder, and the root of its (absent) videos."""

    def make(results=None, predictions=None, name="run"):
        folder = tmp_path / name
        folder.mkdir()
        (results or make_results()).save(folder / "results.json")
        predictions = make_predictions() if predictions is None else predictions
        write_predictions(folder / "predictions.parquet", predictions)
        table = MetricsTable(folder / "metrics.csv", clock=lambda: 0.0)
        for step in range(1, 9):
            table.append({"train/loss": 2 / step, "train/clip_top1": step / 10}, step // 5, step)
            if step % 4 == 0:
                values = {"val/loss": 2.5 / step, "val/video_top1_1x1": step / 10}
                table.append(values, step // 5, step)
        config = {
            "name": "demo",
            "seed": 3,
            "choices": {"model": "slow_fusion", "data": "moving_shapes", "task": "default"},
            "logger": {"api_key": "very-secret"},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        skipped = {"path": "videos/broken.avi", "reason": "no video stream"}
        (folder / "skipped.jsonl").write_text(json.dumps(skipped) + '\n{"path": "half')
        return folder

    return make


@pytest.fixture
def read_grey():
    """Reads any file as frames that get brighter."""

    def read(path, start, end, num_frames, short_side):
        levels = np.linspace(0, 255, num_frames).astype(np.uint8)
        return np.broadcast_to(levels[:, None, None, None], (num_frames, short_side, 128, 3))

    return read
