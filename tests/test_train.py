"""train.py as a user runs it: real processes, real files, the whole run folder."""

import json

import pyarrow.parquet as pq
import pytest
import yaml

from tests.conftest import train_tiny
from tests.forked_runs import train_forked
from videoclf.checkpoint_file import describe
from videoclf.reports.metrics_csv import read_metrics
from videoclf.reports.results import Results


def test_a_run_leaves_all_its_files(trained_run):
    names = {path.name for path in trained_run.iterdir()}
    assert names == {
        "config.yaml",
        "checkpoints",
        "metrics.csv",
        "results.json",
        "predictions.parquet",
        "skipped.jsonl",
        "report.html",
    }
    assert {p.name for p in (trained_run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_results_say_what_was_measured(trained_run):
    results = Results.load(trained_run / "results.json")
    assert set(results.metrics) == {
        "test/video_top1_2x1",
        "test/video_top5_2x1",
        "test/video_mean_class_2x1",
        "test/video_ece_2x1",
    }
    assert results.counts == {"expected": 16, "evaluated": 16, "missing": 0}
    assert 0 <= results.timing["data_wait_share"] <= 1
    assert results.timing["wall_seconds"] > results.timing["train_seconds"] > 0
    assert "train.py" in results.command
    assert results.environment["packages"]["torch"]


def test_predictions_have_every_probability(trained_run):
    table = pq.read_table(trained_run / "predictions.parquet")
    assert table.num_rows == 16
    probabilities = table["probabilities"].to_pylist()
    assert all(len(row) == 8 and abs(sum(row) - 1) < 1e-5 for row in probabilities)
    metadata = table.schema.metadata
    assert len(json.loads(metadata[b"class_names"])) == 8
    top1 = sum(
        max(range(8), key=row.__getitem__) == label
        for row, label in zip(probabilities, table["label"].to_pylist(), strict=True)
    )
    results = Results.load(trained_run / "results.json")
    assert results.metrics["test/video_top1_2x1"] == pytest.approx(top1 / 16)


def test_the_config_is_resolved_and_plain(trained_run):
    text = (trained_run / "config.yaml").read_text()
    assert "${" not in text
    config = yaml.safe_load(text)
    assert config["data"]["num_classes"] == config["model"]["num_classes"] == 8
    assert config["choices"]["model"] == "slow_fusion"


def test_curves_are_logged(trained_run):
    metrics = read_metrics(trained_run / "metrics.csv")
    assert {"train/loss", "val/video_top1_1x1", "learning_rate"} <= set(metrics)


def test_checkpoints_carry_their_description(trained_run):
    description = describe(trained_run / "checkpoints" / "best.ckpt")
    assert description["classes"] == description["config"]["data"]["class_names"]
    assert len(description["manifest_sha256"]) == 64


def test_the_default_model_needs_neither_timm_nor_wandb(training):
    lines = [line for line in training[1].splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert {"torch", "videoclf", "timm", "wandb"} & imported == {"torch", "videoclf"}


def test_two_runs_of_one_seed_are_equal(trained_run, tmp_path):
    finished = train_tiny(tmp_path / "again", "data.num_workers=2")
    assert finished.returncode == 0, finished.stderr
    first = pq.read_table(trained_run / "predictions.parquet")
    again = pq.read_table(tmp_path / "again" / "predictions.parquet")
    assert first["probabilities"].to_pylist() == again["probabilities"].to_pylist()


def test_two_processes_equal_one(trained_run, tmp_path):
    """The same global batch on two gloo ranks, evaluated without padding."""
    finished = train_tiny(
        tmp_path / "pair",
        "trainer=ddp",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        "data.batch_size=4",
        "model=single_frame",
        "model.backbone=test_vit",
        "logger=tensorboard",
        "ema_decay=0.9",
    )
    assert finished.returncode == 0, finished.stderr
    results = Results.load(tmp_path / "pair" / "results.json")
    assert results.counts == {"expected": 16, "evaluated": 16, "missing": 0}
    assert results.protocol["ema_decay"] == 0.9
    train_forked(
        tmp_path / "alone", "model=single_frame", "model.backbone=test_vit", "ema_decay=0.9"
    )
    tables = [pq.read_table(tmp_path / n / "predictions.parquet") for n in ("pair", "alone")]
    for row, other in zip(*(t["probabilities"].to_pylist() for t in tables), strict=True):
        assert row == pytest.approx(other, abs=1e-4)
    assert list((tmp_path / "pair" / "tensorboard").iterdir())


def test_a_sweep_runs_each_job_in_fresh_processes_also_with_two_ranks(tmp_path):
    finished = train_tiny(
        tmp_path / "x",
        "seed=1,2",
        "run_dir=null",
        "name=swept",
        "trainer=ddp",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        "data.batch_size=4",
        "-m",
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stderr
    for job in (1, 2):
        assert f"job {job} of the sweep, seed={job}: val/video_top1_1x1 0." in finished.stderr
    runs = sorted((tmp_path / "runs" / "swept").iterdir())
    assert len(runs) == 2
    seeds = [yaml.safe_load((run / "config.yaml").read_text())["seed"] for run in runs]
    assert seeds == [1, 2]
    assert all((run / "report.html").is_file() for run in runs)
