"""evaluate.py 'predictions=[a,b]' on predictions files; every number again by numpy."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from tests.conftest import PROJECT, run_script
from videoclf.errors import ConfigError, DataError
from videoclf.evaluation.alignment import align
from videoclf.evaluation.stored import evaluate_stored, stored_metrics
from videoclf.reports.predictions import Predictions, read_predictions, write_predictions
from videoclf.reports.results import Results

CLASSES = ("a", "b", "c", "d")
COUNT = 60


def made(seed, subset="test", strength=1.5, missing=(), count=COUNT):
    """Return made-up predictions; seeds differ in what they say of the same videos."""
    labels = np.arange(count) * 7 % len(CLASSES)
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(count, len(CLASSES)))
    scores[np.arange(count), labels] += strength
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    available = ~np.isin(np.arange(count), missing)
    return Predictions(
        paths=[f"{subset}/{video // 2}.mp4" for video in range(count)],
        starts=[float(video % 2) for video in range(count)],
        ends=[float(video % 2 + 1) for video in range(count)],
        labels=[(int(label),) for label in labels],
        probabilities=probabilities.astype(np.float32),
        available=available,
        class_names=CLASSES,
        protocol={"subset": subset, "num_clips": 5, "num_crops": 1, "average": "probabilities"},
        manifest_sha256="0" * 64,
        groups=[f"scene {video // 4}" for video in range(count)],
        seconds=np.ones(count, np.float32),
    )


def shuffled(predictions, seed=0):
    """Return the same with records and classes in another order."""
    generator = np.random.default_rng(seed)
    rows, order = generator.permutation(len(predictions)), [2, 0, 3, 1]
    taken = predictions.taken(rows)
    return replace(
        taken,
        class_names=tuple(CLASSES[k] for k in order),
        probabilities=taken.probabilities[:, order],
        labels=[(order.index(label),) for (label,) in taken.labels],
    )


@pytest.fixture
def folders(tmp_path):
    """Write runs a and b, the latter in another order, on test and val."""
    members = {
        "a": made(1),
        "b": shuffled(made(2, strength=2.5, missing=(3,))),
        "a_val": made(3, "val", count=40),
        "b_val": shuffled(made(4, "val", strength=2.5, count=40)),
    }
    for name, predictions in members.items():
        (tmp_path / name).mkdir()
        write_predictions(tmp_path / name / "predictions.parquet", predictions)
    return tmp_path


DEFAULT = yaml.safe_load((PROJECT / "conf" / "ensemble" / "default.yaml").read_text())


def config(*, predictions=("a", "b"), fit_predictions=(), **ensemble):
    """Return what evaluate.py composes."""
    return {
        "predictions": list(predictions),
        "fit_predictions": list(fit_predictions),
        "ensemble": {**DEFAULT, **ensemble},
        "root": None,
        "command": "python evaluate.py",
    }


@pytest.fixture
def evaluate(folders, monkeypatch):
    """Return what one rank of evaluate.py does, in the folder of the members."""
    monkeypatch.chdir(folders)

    def run(**settings):
        (folders / "joint").mkdir()
        evaluate_stored(config(**settings), folders / "joint", 0.0)
        return Results.load(folders / "joint" / "results.json")

    return run


def test_a_weighted_average_of_two_runs(folders):
    finished = run_script(
        "evaluate.py",
        "predictions=[a,b]",
        "ensemble.weights=[1,1.5]",
        "run_dir=joint",
        cwd=folders,
    )
    assert finished.returncode == 0, finished.stderr
    assert "its own top-1" in finished.stdout
    results = Results.load(folders / "joint" / "results.json")
    first, second = made(1), made(2, strength=2.5)
    mean = (first.probabilities + 1.5 * second.probabilities) / 2.5
    seen = np.arange(COUNT) != 3
    labels = np.array([label for (label,) in first.labels])
    right = (mean.argmax(1) == labels) & seen
    name = "test/video_top1_5x1_average_1_1.5"
    assert results.metrics[name] == pytest.approx(right.mean())
    assert results.metrics[f"{name}_available"] == pytest.approx(right[seen].mean())
    low, high = results.intervals[name]
    assert low < right.mean() < high
    assert results.counts == {"expected": COUNT, "evaluated": COUNT - 1, "missing": 1}
    members = results.ensemble["members"]
    assert [row["name"] for row in members] == ["a", "b"]
    assert [row["weight"] for row in members] == [1, 1.5]
    own = [(first.probabilities.argmax(1) == labels).mean()]
    own.append(((second.probabilities.argmax(1) == labels) & seen).mean())
    assert [row["top1"] for row in members] == pytest.approx(own)
    stored = read_predictions(folders / "joint" / "predictions.parquet")
    np.testing.assert_allclose(stored.probabilities[seen], mean[seen], atol=1e-6)
    page = (folders / "joint" / "report.html").read_text(encoding="utf-8")
    assert "Members" in page
    # and what was stored is measured again under the same names
    assert stored_metrics(stored) == results.metrics


def test_voting_says_its_ties(evaluate, folders):
    results = evaluate(fusion="vote")
    first, second = made(1), made(2, strength=2.5)
    seen = np.arange(COUNT) != 3
    said = [each.probabilities.argmax(1) for each in (first, second)]
    summed = (first.probabilities + second.probabilities).astype(float)
    candidates = np.full(summed.shape, -1.0)
    for each in said:  # of two members that differ, both classes are tied
        candidates[np.arange(COUNT), each] = summed[np.arange(COUNT), each]
    labels = np.array([label for (label,) in first.labels])
    right = (candidates.argmax(1) == labels) & seen
    assert results.metrics["test/video_top1_5x1_vote"] == pytest.approx(right.mean())
    ties = int((said[0] != said[1])[seen].sum())
    assert results.ensemble["ties"] == ties > 5
    page = (folders / "joint" / "report.html").read_text(encoding="utf-8")
    assert f"{ties}\N{NO-BREAK SPACE}ties" in page


def test_a_cascade_fitted_on_val_and_what_it_costs(evaluate):
    results = evaluate(fusion="cascade", fit_predictions=("a_val", "b_val"), costs=[1, 9])
    found = results.ensemble
    assert found["fitted_on"] == {"subset": "val", "videos": 40}

    def answers(first, second, threshold):
        unsure = first.probabilities.max(1) < threshold
        mean = (first.probabilities + second.probabilities) / 2
        return np.where(unsure[:, None], mean, first.probabilities).argmax(1), unsure

    val = made(3, "val", count=40), made(4, "val", strength=2.5, count=40)
    val_labels = np.array([label for (label,) in val[0].labels])
    scores = [(answers(*val, step / 100)[0] == val_labels).sum() for step in range(101)]
    best = next(step / 100 for step, score in enumerate(scores) if score >= scores[-1])
    assert found["threshold"] == pytest.approx(best)
    test = made(1), made(2, strength=2.5)
    seen = np.arange(COUNT) != 3
    labels = np.array([label for (label,) in test[0].labels])
    said, unsure = answers(*test, best)
    name = "test/video_top1_5x1_cascade_fit_val"
    assert results.metrics[name] == pytest.approx(((said == labels) & seen).mean())
    share = unsure[seen].mean()
    assert [row["share"] for row in found["members"]] == pytest.approx([1, share])
    assert found["relative_cost"] == pytest.approx((1 + 9 * share) / 10)
    assert found["cost_unit"] == "as given"


def test_costs_are_measured_seconds_where_that_is_known(evaluate, folders):
    for name, seconds in (("a", 60.0), ("b", 118.0)):
        predictions = read_predictions(folders / name / "predictions.parquet")
        evaluated = int(predictions.available.sum())
        results = Results(
            metrics={},
            counts={
                "expected": COUNT,
                "evaluated": evaluated,
                "missing": COUNT - evaluated,
            },
            protocol=predictions.protocol,
            classes=predictions.class_names,
            manifest_sha256="0" * 64,
            environment={},
            timing={"evaluate_seconds": seconds},
            command="python evaluate.py",
            missing=({"path": "test/1.mp4", "reason": "no video stream"},) * (name == "b"),
        )
        results.save(folders / name / "results.json")
    results = evaluate(fusion="cascade", threshold=0.7)
    found = results.ensemble
    assert found["cost_unit"] == "seconds"
    assert [row["cost"] for row in found["members"]] == [1.0, 2.0]
    assert 1 / 3 < found["relative_cost"] < 1
    assert "test/video_top1_5x1_cascade_0.7" in results.metrics
    assert results.missing == ({"path": "test/1.mp4", "reason": "no video stream"},)


def test_weights_fitted_on_val(evaluate):
    results = evaluate(weights="fit", fit_predictions=("a_val", "b_val"))
    weights = [row["weight"] for row in results.ensemble["members"]]
    assert sum(weights) == pytest.approx(1)
    val = made(3, "val", count=40), made(4, "val", strength=2.5, count=40)
    labels = np.array([label for (label,) in val[0].labels])
    grid = np.linspace(0, 1, 501)
    own = [each.probabilities[np.arange(40), labels] for each in val]
    losses = [-np.log(w * own[0] + (1 - w) * own[1]).mean() for w in grid]
    assert weights[0] == pytest.approx(grid[np.argmin(losses)], abs=4e-3)
    assert "test/video_top1_5x1_average_fit_val" in results.metrics


def test_several_labels_can_be_averaged_and_nothing_else(evaluate, folders):
    for name, seed in (("m1", 1), ("m2", 2)):
        many = replace(
            made(seed),
            labels=[(n % 4, (n + 1) % 4) for n in range(COUNT)],
            multi_label=True,
        )
        write_predictions(folders / name, many)
    results = evaluate(predictions=("m1", "m2"))
    assert set(results.metrics) == {"test/video_map_5x1_average"}
    (folders / "joint").rename(folders / "first")
    with pytest.raises(ConfigError, match="only ensemble.fusion=average with given weights"):
        evaluate(predictions=("m1", "m2"), fusion="vote")


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"weights": [1]}, ConfigError, "ensemble.weights has 1 value.s. for 2 members"),
        ({"fusion": "svm"}, ConfigError, r"fit_predictions=\[...\] is needed"),
        (
            {"weights": "fit", "fit_predictions": ["a_val"]},
            ConfigError,
            "fit_predictions has 1 value.s. for 2 members",
        ),
        (
            {"weights": "fit", "fit_predictions": ["a", "b"]},
            ConfigError,
            "a is of subset test, and the fusion is fitted on ensemble.fit_subset=val",
        ),
        (
            {"weights": "fit", "fit_predictions": ["a", "b"], "fit_subset": "test"},
            ConfigError,
            "ensemble.fit_subset=test is the subset that is scored",
        ),
        (
            {"weights": "fit", "fit_predictions": ["a_as_val", "a_as_val"]},
            ConfigError,
            "60 of the videos of a_as_val, which the fusion is fitted on, are scored in a",
        ),
        ({"fit_predictions": ["a_val", "b_val"]}, ConfigError, "this ensemble fits nothing"),
        ({"predictions": ["a", "a_val"]}, ConfigError, "a is of subset test and a_val of val"),
        ({"predictions": ["a"]}, ConfigError, "an ensemble needs two predictions or more"),
        ({"predictions": ["a", "nowhere"]}, DataError, "cannot read the predictions nowhere"),
    ],
)
def test_mistakes_are_sentences(evaluate, folders, settings, error, sentence):
    leaked = replace(made(1), protocol={**made(1).protocol, "subset": "val"})
    write_predictions(folders / "a_as_val", leaked)
    with pytest.raises(error, match=sentence):
        evaluate(**settings)


def test_one_prediction_is_no_ensemble(folders):
    finished = run_script("evaluate.py", "predictions=a", "ensemble.fusion=vote", cwd=folders)
    assert finished.returncode == 2
    assert "is for several predictions" in finished.stderr.splitlines()[-1]


def test_a_misspelt_key_is_named(folders):
    finished = run_script("evaluate.py", "predictions=[a,b]", "ensemble.wieghts=[1,2]", cwd=folders)
    assert finished.returncode == 2
    assert "did you mean 'ensemble.weights'?" in finished.stderr.splitlines()[-1]


def test_members_are_aligned_by_record_and_class_name():
    first, second = align([made(1), shuffled(made(1))], ["a", "b"])
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    assert first.labels == second.labels
    assert first.class_names == second.class_names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.taken(np.arange(1, COUNT)), r"b lacks 1, such as test/0.mp4 \(0.0 to 1.0 s\)"),
        (
            lambda p: replace(p, class_names=("a", "b", "c", "x")),
            "b lacks 1 of the classes of a: d",
        ),
        (
            lambda p: replace(p, labels=[(1,), *p.labels[1:]]),
            r"test/0.mp4 \(0.0 to 1.0 s\) is a in a and b in b",
        ),
        (lambda p: replace(p, multi_label=True), "b is of several labels a video and a of one"),
    ],
)
def test_what_differs_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        align([made(1), change(made(2))], ["a", "b"])
    if "lacks" in message and "classes" not in message:
        with pytest.raises(ConfigError, match="a lacks 1, such as"):
            align([change(made(1)), made(2)], ["a", "b"])
