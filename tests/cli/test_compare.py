"""`videoclf compare` on runs that were really trained, and on those that were not."""

import json
import math
import shutil

import pytest

from tests.forked_runs import train_forked
from videoclf.cli import main


@pytest.fixture(scope="module")
def runs(trained_run, other_run, tmp_path_factory):
    """Three trainings: two seeds of one network, and one of another width."""
    folder = tmp_path_factory.mktemp("compared")
    shutil.copytree(trained_run, folder / "first")
    shutil.copytree(other_run, folder / "second")
    train_forked(folder / "wide", "model.widths=[8,16]")
    return folder


def run(capsys, *words):
    code = main(["compare", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()


def test_trained_runs_side_by_side(runs, tmp_path, capsys):
    code, out, err = run(capsys, runs, "-o", tmp_path / "out")
    assert (code, err) == (0, [])
    assert {"widths=[4,8]", "widths=[8,16]"} <= set(out.split())
    assert "compares checkpoints, not strategies" in out
    found = json.loads((tmp_path / "out" / "compare.json").read_text(encoding="utf-8"))
    (table,) = found["tables"]
    rows = {row["name"]: row for row in table["rows"]}
    both = rows["widths=[4,8]"]
    assert both["seeds"] == [0, 1]
    assert table["num_videos"] == 16
    for name, value in zip(("first", "second"), both["values"], strict=True):
        results = json.loads((runs / name / "results.json").read_text(encoding="utf-8"))
        assert value == results["metrics"]["test/video_top1_2x1"]
    mean, difference = sum(both["values"]) / 2, abs(both["values"][0] - both["values"][1])
    reach = 12.706 * difference / 2
    assert both["mean"] == mean
    assert both["interval_over_seeds"] == pytest.approx(
        [max(0, mean - reach), min(1, mean + reach)]
    )
    low, high = both["interval_over_videos"]
    assert low <= mean <= high
    assert high - low < 4 * math.sqrt(0.25 / 16)
    assert rows["widths=[8,16]"]["parameters"] > both["parameters"]
    assert both["train_seconds"] > 0
    assert "top-1, validation" in (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")


def test_another_metric_and_the_usual_folder(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [runs / "first", runs / "second", "--metric", "test/video_mean_class_2x1"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "mean class accuracy" in out
    (page,) = tmp_path.glob("runs/comparisons/*/compare.html")
    assert page.is_file()


def test_mistakes_are_named(runs, tmp_path, capsys):
    code, _, err = run(capsys, tmp_path / "gone", runs / "first")
    assert (code, err[-1]) == (
        2,
        f"error: {tmp_path / 'gone'} does not exist; name run folders: runs/<name>/<date>_<time>",
    )
    half = tmp_path / "half"
    shutil.copytree(runs / "first", half)
    (half / "results.json").unlink()
    code, _, err = run(capsys, half, runs / "first")
    assert code == 3
    assert err[-1].endswith(
        f"no results.json; go on with it by python train.py resume={half}, or leave it out"
    )
    code, _, err = run(capsys, tmp_path, runs, "-o", tmp_path / "out")
    assert (code, err) == (0, [f"{half} is not finished and left out"])
    code, _, err = run(capsys, runs / "first")
    assert code == 2
    assert "needs two runs or more" in err[-1]


def test_an_evaluation_by_other_views_is_refused(runs, tmp_path, capsys):
    shutil.copytree(runs / "wide", tmp_path / "other")
    path = tmp_path / "other" / "results.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["protocol"]["num_clips"] = 10
    path.write_text(json.dumps(content), encoding="utf-8")
    words = [runs / "first", tmp_path / "other", "-o", tmp_path / "out"]
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "are not comparable: protocol.num_clips 2 and 10" in err[-1]
    code, out, _ = run(capsys, *words, "--allow-different")
    assert code == 0
    assert "protocol.num_clips 10" in out
