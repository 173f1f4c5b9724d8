import json
import math

import pytest

from videoclf.errors import DataError
from videoclf.reports.results import Results


def test_round_trip(tmp_path, make_results):
    results = make_results(
        counts={"expected": 20, "evaluated": 19, "missing": 1},
        intervals={"test/video_top1_10x3": (0.7, 0.8)},
        missing=({"path": "a.avi", "reason": "no video stream"},),
    )
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results


def test_nan_is_null_in_the_file(tmp_path, make_results):
    path = tmp_path / "results.json"
    make_results(metrics={"test/video_top1_10x3": math.nan}).save(path)
    assert json.loads(path.read_text())["metrics"] == {"test/video_top1_10x3": None}
    assert math.isnan(Results.load(path).metrics["test/video_top1_10x3"])


def test_command_is_saved_without_its_secrets(tmp_path, make_results):
    make_results(command="python train.py logger.api_key=abc").save(tmp_path / "r.json")
    assert "abc" not in (tmp_path / "r.json").read_text()


def test_keys_of_a_newer_version_are_left_aside(tmp_path, make_results):
    path = tmp_path / "results.json"
    make_results().save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"novel": 1}))
    assert Results.load(path) == make_results()


@pytest.mark.parametrize("text", ["", "[]", '{"metrics": {}}', '{"metrics": {"a": "b"}}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match=r"results\.json.*evaluate the run again"):
        Results.load(tmp_path / "results.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json"):
        Results.load(tmp_path / "none.json")


def test_percentages_are_refused(make_results):
    with pytest.raises(ValueError, match=r"test/video_top1_10x3=94\.3 is outside \[0, 1\]"):
        make_results(metrics={"test/video_top1_10x3": 94.3})


def test_counts_must_add_up(make_results):
    with pytest.raises(ValueError, match="counts do not add up"):
        make_results(counts={"expected": 20, "evaluated": 18, "missing": 1})
    with pytest.raises(ValueError, match="counts lack missing"):
        make_results(counts={"expected": 20, "evaluated": 20})
