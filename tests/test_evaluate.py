"""evaluate.py as a user runs it."""

import pyarrow.parquet as pq
import pytest

from tests.conftest import run_script
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


def test_the_same_views_give_the_same_scores_as_training_did(trained_run, checkpoint, tmp_path):
    finished = evaluate(checkpoint, tmp_path / "e", "views.num_clips=2", "data.batch_size=3")
    assert finished.returncode == 0, finished.stderr
    first = pq.read_table(trained_run / "predictions.parquet")["probabilities"].to_pylist()
    again = pq.read_table(tmp_path / "e" / "predictions.parquet")["probabilities"].to_pylist()
    for row, other in zip(first, again, strict=True):
        assert row == pytest.approx(other, abs=1e-5)


def test_more_views_on_more_processes_than_videos_count_each_video_once(checkpoint, tmp_path):
    finished = evaluate(
        checkpoint,
        tmp_path / "e",
        "views.num_clips=2",
        "views.num_crops=5",
        "views.average=logits",
        "subset=val",
        "transform.resize_pixels=40",
        "trainer=ddp",
        "trainer.devices=3",
        "trainer.accelerator=cpu",
    )
    assert finished.returncode == 0, finished.stderr
    results = Results.load(tmp_path / "e" / "results.json")
    assert results.counts == {"expected": 8, "evaluated": 8, "missing": 0}
    assert "val/video_top1_2x5_logits" in results.metrics
    assert (tmp_path / "e" / "report.html").is_file()
    assert "test" not in {name.partition("/")[0] for name in results.metrics}
