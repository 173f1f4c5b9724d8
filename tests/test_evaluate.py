"""evaluate.py as a user runs it."""

import pyarrow.parquet as pq
import pytest

from tests.conftest import run_script
from tests.forked_runs import evaluate_forked
from tests.resuming import start_folder
from videoclf.reports.results import Results


@pytest.fixture(scope="module")
def checkpoint(trained_run):
    return trained_run / "checkpoints" / "best.ckpt"


def evaluate(checkpoint, folder, *arguments):
    return run_script(
        "evaluate.py",
        f"checkpoint={checkpoint}",
        f"run_dir={folder}",
        *arguments,
        cwd=folder.parent,
    )


@pytest.fixture(scope="module")
def evaluated(checkpoint, tmp_path_factory):
    """By the views of the training's own test, in other batches."""
    folder = tmp_path_factory.mktemp("evaluations") / "e"
    finished = evaluate(checkpoint, folder, "views.num_clips=2", "data.batch_size=3")
    assert finished.returncode == 0, finished.stderr
    return folder


def test_the_same_views_give_the_same_scores_as_training_did(trained_run, evaluated):
    first = pq.read_table(trained_run / "predictions.parquet")["probabilities"].to_pylist()
    again = pq.read_table(evaluated / "predictions.parquet")["probabilities"].to_pylist()
    for row, other in zip(first, again, strict=True):
        assert row == pytest.approx(other, abs=1e-5)


def test_more_views_on_more_processes_than_videos_count_each_video_once(evaluated, tmp_path):
    folder = start_folder(
        evaluated,
        tmp_path / "e",
        views__num_crops=5,
        views__average="logits",
        subset="val",
        transform__resize_pixels=40,
        trainer__strategy="ddp",
        trainer__devices=3,
    )
    evaluate_forked(folder, 3)
    results = Results.load(folder / "results.json")
    assert results.counts == {"expected": 8, "evaluated": 8, "missing": 0}
    assert "val/video_top1_2x5_logits" in results.metrics
    assert results.environment["device"] == "3 x cpu"
    assert (folder / "report.html").is_file()
    assert "test" not in {name.partition("/")[0] for name in results.metrics}
