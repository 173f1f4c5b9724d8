"""evaluate.py predictions=...: everything but the model again, from what was stored."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.conftest import run_script
from videoclf.errors import ConfigError
from videoclf.evaluation.stored import stored_metrics
from videoclf.reports.predictions import Predictions, read_predictions, write_predictions
from videoclf.reports.results import Results

PROTOCOL = {"subset": "test", "num_clips": 2, "num_crops": 1, "average": "logits"}


def predictions(labels, missing=(), **more):
    count = len(labels)
    probabilities = np.full((count, 3), 0.2, np.float32)
    for video, given in enumerate(labels):
        probabilities[video, [(label + (video % 4 == 0)) % 3 for label in given]] = 0.6
    available = ~np.isin(np.arange(count), missing)
    return Predictions(
        **{
            "paths": [f"{video}.mp4" for video in range(count)],
            "starts": [None] * count,
            "ends": [None] * count,
            "labels": labels,
            "probabilities": probabilities,
            "available": available,
            "class_names": ("a", "b", "c"),
            "protocol": PROTOCOL,
            "manifest_sha256": "0" * 64,
            "groups": [f"scene {video // 4}" for video in range(count)],
            "seconds": np.where(available, np.linspace(1, 9, count), np.nan).astype(np.float32),
            "motion": np.where(available, 0.1, np.nan).astype(np.float32),
            "ranks": np.where(available[:, None], [[1, 0]] * count, -1).astype(np.int32),
            **more,
        }
    )


def test_what_is_known_of_each_video_comes_back(tmp_path):
    made = predictions([(video % 3,) for video in range(20)], missing=(3,))
    write_predictions(tmp_path / "p.parquet", made)
    read = read_predictions(tmp_path / "p.parquet")
    assert list(read.groups) == list(made.groups)
    np.testing.assert_array_equal(read.seconds, made.seconds)
    np.testing.assert_array_equal(read.motion, made.motion)
    np.testing.assert_array_equal(read.ranks, made.ranks)
    some = read.taken(np.array([4, 3]))
    assert (some.paths, some.groups) == (["4.mp4", "3.mp4"], ["scene 1", "scene 0"])
    assert some.available.tolist() == [True, False]
    assert pq.read_table(tmp_path / "p.parquet")["seconds"].null_count == 1


def test_a_run_without_its_model(tmp_path):
    made = predictions([(video % 3,) for video in range(40)], missing=(3,))
    write_predictions(tmp_path / "p.parquet", made)
    finished = run_script(
        "evaluate.py", f"predictions={tmp_path / 'p.parquet'}", "run_dir=again", cwd=tmp_path
    )
    assert finished.returncode == 0, finished.stderr
    results = Results.load(tmp_path / "again" / "results.json")
    assert results.metrics["test/video_top1_2x1_logits"] == pytest.approx(29 / 40)
    assert results.metrics["test/video_top1_2x1_logits_available"] == pytest.approx(29 / 39)
    low, high = results.intervals["test/video_top1_2x1_logits"]
    assert low < 29 / 40 < high
    assert "test/video_ece_2x1_logits" in results.metrics
    assert results.counts == {"expected": 40, "evaluated": 39, "missing": 1}
    assert results.missing == ({"path": "3.mp4", "reason": "has no stored prediction"},)
    curve = json.loads((tmp_path / "again" / "results.json").read_text())["views_curve"]
    assert [point["top1"] for point in curve] == pytest.approx([0.0, 39 / 40])
    page = (tmp_path / "again" / "report.html").read_text(encoding="utf-8")
    for said in ("By length", "calibration error", "95 % interval", "Accuracy over the listed"):
        assert said in page, said
    assert "By motion" not in page  # all move alike
    again = read_predictions(tmp_path / "again" / "predictions.parquet")
    np.testing.assert_array_equal(
        again.probabilities, read_predictions(tmp_path / "p.parquet").probabilities
    )


@pytest.mark.slow
def test_mistakes_of_a_user(tmp_path):
    finished = run_script("evaluate.py", "predictions=nowhere.parquet", cwd=tmp_path)
    assert finished.returncode == 3
    assert "cannot read the predictions nowhere.parquet" in finished.stderr.splitlines()[-1]


def test_several_labels_give_a_mean_average_precision():
    made = predictions([(0, 1), (2,), (), (1,)], multi_label=True)
    metrics = stored_metrics(made)
    assert set(metrics) == {"test/video_map_2x1_logits"}
    assert 0 < metrics["test/video_map_2x1_logits"] <= 1


def test_videos_without_a_label_are_refused():
    with pytest.raises(ConfigError, match="a video of the predictions has no label"):
        stored_metrics(predictions([(0,), ()]))
