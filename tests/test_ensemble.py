"""evaluate.py with several checkpoints, as a user runs it."""

from pathlib import Path

import numpy as np
import pytest

import evaluate as evaluate_script
from tests.conftest import run_script
from tests.test_bad_input import in_process
from videoclf.evaluation.ensemble import Ensemble
from videoclf.evaluation.fuse import Member, fuse
from videoclf.reports.predictions import read_predictions
from videoclf.reports.results import Results


@pytest.fixture(scope="module")
def checkpoints(trained_run, other_run):
    files = [folder / "checkpoints" / "best.ckpt" for folder in (trained_run, other_run)]
    return f"checkpoint=[{files[0]},{files[1]}]"


def evaluate(checkpoints, folder, *arguments):
    return run_script(
        "evaluate.py", checkpoints, f"run_dir={folder}", *arguments, cwd=folder.parent
    )


@pytest.fixture(scope="module")
def averaged(checkpoints, tmp_path_factory):
    """The folder of a weighted average, in which both members have scored all videos."""
    folder = tmp_path_factory.mktemp("average") / "both"
    finished = evaluate(
        checkpoints, folder, "ensemble.weights=[1,1.5]", "views.num_clips=2", "data.num_workers=0"
    )
    assert finished.returncode == 0, finished.stderr
    return folder


@pytest.fixture
def evaluate_here(monkeypatch, capfd, tmp_path):
    """Call `evaluate.py` in this process; return its exit code and its last line."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: in_process(
        evaluate_script, *arguments, monkeypatch=monkeypatch, capfd=capfd
    )


def members_of(folder, subset="test"):
    return [
        read_predictions(folder / "members" / f"{number}_{subset}" / "predictions.parquet")
        for number in (1, 2)
    ]


def test_weighted_average_of_two_checkpoints(averaged):
    results = Results.load(averaged / "results.json")
    assert "test/video_top1_2x1_average_1_1.5" in results.metrics
    assert results.counts["missing"] == 0
    assert all(row["seconds"] > 0 for row in results.ensemble["members"])
    assert (averaged / "report.html").is_file()
    first, second = members_of(averaged)
    both = read_predictions(averaged / "predictions.parquet")
    assert both.paths == first.paths
    np.testing.assert_allclose(
        both.probabilities, (first.probabilities + 1.5 * second.probabilities) / 2.5, atol=1e-6
    )


def test_a_cascade_asks_the_second_only_where_the_first_is_unsure(
    checkpoints, trained_run, other_run, tmp_path
):
    first, second = (
        read_predictions(run / "predictions.parquet") for run in (trained_run, other_run)
    )
    assert np.abs(first.probabilities - second.probabilities).max() > 1e-3
    confidence = np.sort(first.probabilities.max(1))
    threshold = float((confidence[5] + confidence[6]) / 2)
    folder = tmp_path / "cascade"
    finished = evaluate(
        checkpoints,
        folder,
        "ensemble.fusion=cascade",
        f"ensemble.threshold={threshold}",
        "views.num_clips=2",
        "data.num_workers=0",
    )
    assert finished.returncode == 0, finished.stderr
    unsure = [row for row in range(16) if first.probabilities[row].max() < threshold]
    assert len(unsure) == 6
    asked = members_of(folder)[1]
    assert asked.paths == [first.paths[row] for row in unsure]
    own = Results.load(folder / "members" / "2_test" / "results.json")
    assert own.counts == {"expected": 6, "evaluated": 6, "missing": 0}
    assert "on the 6 of 16 videos of test that are unsure" in finished.stderr
    # and what they say together is what a cascade of all stored predictions says
    settings = {"weights": None, "average": "probabilities", "fit_subset": "val"}
    stored = fuse(
        Ensemble(fusion="cascade", threshold=threshold, regularization=0.0, **settings),
        [Member("a", first), Member("b", second)],
    )
    results = Results.load(folder / "results.json")
    together = read_predictions(folder / "predictions.parquet")
    np.testing.assert_allclose(
        together.probabilities, stored.predictions.probabilities, rtol=0, atol=1e-6
    )
    right = [
        int(row.argmax()) in labels
        for row, labels in zip(stored.predictions.probabilities, first.labels, strict=True)
    ]
    (name,) = (name for name in results.metrics if name.startswith("test/video_top1_2x1_cascade"))
    assert results.metrics[name] == pytest.approx(np.mean(right))
    assert results.counts == {"expected": 16, "evaluated": 16, "missing": 0}
    shares = [row["share"] for row in stored.findings["members"]]
    assert [row["share"] for row in results.ensemble["members"]] == shares == [1, 6 / 16]
    assert all(row["seconds"] > 0 for row in results.ensemble["members"])
    assert "top1" not in results.ensemble["members"][1]  # of the unsure videos it would be unfair
    assert "its evaluation, seconds" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_fitted_cascade_and_one_that_asks_nothing(checkpoints, tmp_path):
    folder = tmp_path / "fitted"
    finished = evaluate(checkpoints, folder, "ensemble.fusion=cascade", "data.num_workers=0")
    assert finished.returncode == 0, finished.stderr
    assert [len(each) for each in members_of(folder, "val")] == [8, 8]
    results = Results.load(folder / "results.json")
    assert results.ensemble["fitted_on"] == {"subset": "val", "videos": 8}
    first = read_predictions(folder / "members" / "1_test" / "predictions.parquet")
    unsure = (first.probabilities.max(1) < results.ensemble["threshold"]).mean()
    assert results.ensemble["members"][1]["share"] == pytest.approx(unsure)
    folder = tmp_path / "sure"
    finished = evaluate(
        checkpoints,
        folder,
        "ensemble.fusion=cascade",
        "ensemble.threshold=0",
        "data.num_workers=0",
    )
    assert finished.returncode == 0, finished.stderr
    results = Results.load(folder / "results.json")
    assert [row["share"] for row in results.ensemble["members"]] == [1, 0]
    assert results.ensemble["members"][1]["seconds"] == 0
    assert not (folder / "members" / "2_test" / "results.json").exists()
    np.testing.assert_array_equal(
        read_predictions(folder / "predictions.parquet").probabilities,
        read_predictions(folder / "members" / "1_test" / "predictions.parquet").probabilities,
    )


@pytest.mark.slow
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
        (["ensemble.fusion=sum"], 2, "ensemble.fusion=sum must be average, vote, cascade,"),
        (["ensemble.weights=fit", "subset=val"], 2, "is the subset that is scored"),
        (["ensemble.weigths=[1,2]"], 2, "did you mean 'ensemble.weights'?"),
    ],
)
def test_wrong_settings(checkpoints, evaluate_here, arguments, code, sentence):
    got, said = evaluate_here(checkpoints, "data.num_workers=0", *arguments)
    assert (got, sentence in said) == (code, True), said


def test_one_checkpoint_is_no_ensemble(trained_run, evaluate_here):
    one = f"checkpoint={trained_run / 'checkpoints' / 'best.ckpt'}"
    code, said = evaluate_here(one, "ensemble.weights=[1]")
    assert (code, "is for several checkpoints" in said) == (2, True), said


def test_a_missing_member_is_named_before_another_is_evaluated(trained_run, evaluate_here):
    best = trained_run / "checkpoints" / "best.ckpt"
    code, said = evaluate_here(f"checkpoint=[{best},nowhere.ckpt]", "run_dir=gone")
    assert (code, "no checkpoint at nowhere.ckpt" in said) == (5, True), said
    assert not list(Path("gone").rglob("results.json"))
