"""Options that change numbers are run, and say how far they moved them."""

import numpy as np
import pytest
import torch

from tests.conftest import run_script
from videoclf.evaluation.comparison import changes, sample_rows
from videoclf.evaluation.inference import Inference
from videoclf.evaluation.scores import Scores
from videoclf.reports.results import Results


def test_changes_are_those_of_the_compared_videos():
    nan = float("nan")
    scores = Scores(
        rows=torch.arange(4),
        labels=torch.zeros(4, dtype=torch.int64),
        probabilities=torch.tensor([[0.6, 0.4], [0.4, 0.6], [nan, nan], [1.0, 0.0]]),
        available=torch.tensor([True, True, False, True]),
        unreadable=(),
        columns={"plain": torch.tensor([[0.5, 0.5], [0.7, 0.3], [nan, nan], [nan, nan]])},
    )
    found = changes(scores)
    assert found["compared_videos"] == 2
    assert found["largest_change"] == pytest.approx(0.3)
    assert found["mean_change"] == pytest.approx(0.2)
    assert found["top1_changed"] == 1


def test_a_sample_is_spread_over_the_subset():
    rows = np.arange(10, 20)
    assert sample_rows(rows, 3).tolist() == [10, 14, 19]
    assert sample_rows(rows, None) is rows
    assert sample_rows(rows, 64) is rows


@pytest.mark.parametrize(
    "wrong", [{"layout": "last"}, {"compare_videos": -1}, {"save_every_seconds": -1.0}]
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=f"inference.{next(iter(wrong))}="):
        Inference(**wrong)


def test_fold_layout_and_bf16_report_what_they_change(trained_run, tmp_path):
    finished = run_script(
        "evaluate.py",
        f"checkpoint={trained_run / 'checkpoints' / 'best.ckpt'}",
        f"run_dir={tmp_path / 'e'}",
        "inference.fold_batch_norm=true",
        "inference.layout=contiguous",
        "inference.compare_videos=10",
        "trainer.precision=bf16-mixed",
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stderr
    found = Results.load(tmp_path / "e" / "results.json").inference
    assert found["trainer.precision"] == "bf16-mixed"
    assert found["inference.fold_batch_norm"] > 0
    assert found["inference.layout"] == "contiguous"
    assert found["compared_videos"] == 10
    assert 0 < found["mean_change"] < found["largest_change"] < 0.1
    assert found["top1_changed"] <= 10
    assert "against the plain network on 10 videos" in " ".join(finished.stdout.split())
    report = (tmp_path / "e" / "report.html").read_text(encoding="utf-8")
    assert "against the plain network on 10 videos" in report
