"""evaluate.py with several checkpoints, as a user runs it."""

import numpy as np
import pytest

from tests.conftest import run_script
from videoclf.reports.predictions import read_predictions
from videoclf.reports.results import Results


@pytest.fixture(scope="module")
def checkpoints(trained_run):
    folder = trained_run / "checkpoints"
    return f"checkpoint=[{folder / 'best.ckpt'},{folder / 'last.ckpt'}]"


def evaluate(checkpoints, folder, *arguments):
    return run_script(
        "evaluate.py", checkpoints, f"run_dir={folder}", *arguments, cwd=folder.parent
    )


def test_weighted_average_of_two_checkpoints(checkpoints, tmp_path):
    folder = tmp_path / "both"
    finished = evaluate(
        checkpoints, folder, "ensemble.weights=[1,1.5]", "views.num_clips=2", "data.num_workers=0"
    )
    assert finished.returncode == 0, finished.stderr
    results = Results.load(folder / "results.json")
    assert "test/video_top1_2x1_average_1_1.5" in results.metrics
    assert results.counts["missing"] == 0
    assert (folder / "report.html").is_file()
    first, second = (
        read_predictions(folder / "members" / name / "predictions.parquet")
        for name in ("1_test", "2_test")
    )
    both = read_predictions(folder / "predictions.parquet")
    assert both.paths == first.paths
    np.testing.assert_allclose(
        both.probabilities, (first.probabilities + 1.5 * second.probabilities) / 2.5, atol=1e-6
    )


def test_a_fitted_fusion_says_what_it_was_fitted_on(checkpoints, tmp_path):
    folder = tmp_path / "svm"
    finished = evaluate(
        checkpoints, folder, "ensemble.fusion=svm", "views.num_clips=1", "data.num_workers=0"
    )
    assert finished.returncode == 0, finished.stderr
    results = Results.load(folder / "results.json")
    assert "test/video_top1_1x1_svm" in results.metrics
    assert results.protocol["ensemble"]["fit_subset"] == "val"
    assert sorted(place.name for place in (folder / "members").iterdir()) == [
        "1_test",
        "1_val",
        "2_test",
        "2_val",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["ensemble.weights=[1]"], 2, "ensemble.weights has 1 value(s) for 2 members"),
        (["ensemble.fusion=sum"], 2, "ensemble.fusion='sum' must be one of average"),
        (["ensemble.weights=fit", "subset=val"], 2, "is the subset that is scored"),
        (["ensemble.weigths=[1,2]"], 2, "did you mean 'ensemble.weights'?"),
    ],
)
def test_wrong_settings(checkpoints, tmp_path, arguments, code, sentence):
    finished = evaluate(checkpoints, tmp_path / "wrong", "data.num_workers=0", *arguments)
    assert finished.returncode == code
    assert sentence in finished.stderr.splitlines()[-1]


def test_one_checkpoint_is_no_ensemble(trained_run, tmp_path):
    one = f"checkpoint={trained_run / 'checkpoints' / 'best.ckpt'}"
    finished = evaluate(one, tmp_path / "one", "ensemble.weights=[1]")
    assert finished.returncode == 2
    assert "is for several checkpoints" in finished.stderr.splitlines()[-1]


def test_a_missing_member_is_named(trained_run, tmp_path):
    best = trained_run / "checkpoints" / "best.ckpt"
    finished = evaluate(f"checkpoint=[{best},nowhere.ckpt]", tmp_path / "gone")
    assert finished.returncode == 5
    assert "nowhere.ckpt" in finished.stderr.splitlines()[-1]
