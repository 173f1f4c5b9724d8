import json

import numpy as np
import pytest

from tests.comparing.finished_runs import make_run
from videoclf.cli import main
from videoclf.comparing.finished_run import read_run
from videoclf.comparing.splits import mean_over_splits
from videoclf.errors import ConfigError


def split_run(folder, split, hits, *, seed=0, more=(), **options):
    config = [("data.split", split), ("choices.data", "ucf101"), *more]
    return make_run(folder, hits, seed=seed, config=config, **options)


def drawn(count, share, seed):
    return np.random.default_rng(seed).random(count) < share


@pytest.fixture
def three(tmp_path):
    """Three splits of test lists of different length; their hits."""
    hits = {split: drawn(count, 0.7, split) for split, count in ((1, 40), (2, 60), (3, 20))}
    for split, each in hits.items():
        groups = [f"scene {split} {video // 4}" for video in range(len(each))]
        split_run(tmp_path / f"s{split}", split, each, groups=groups)
    return hits


def test_every_split_counts_once(three, tmp_path, capsys):
    file = tmp_path / "splits.json"
    code = main(["splits", *(str(tmp_path / f"s{k}") for k in (3, 1, 2)), "-o", str(file)])
    assert code == 0
    shown = capsys.readouterr().out
    found = json.loads(file.read_text(encoding="utf-8"))
    (name,) = found["metrics"]
    assert name == "test/video_top1_2x1_mean_of_splits_1_2_3"
    mean = np.mean([hits.mean() for hits in three.values()])
    assert found["metrics"][name] == pytest.approx(mean)
    assert abs(mean - np.concatenate(list(three.values())).mean()) > 0.005  # not of all videos
    assert found["splits"]["2"]["value"] == pytest.approx(three[2].mean())
    assert f"{mean:.3f}" in shown
    assert name in shown
    assert "lacking" not in shown
    # scenes are redrawn from all lists together
    scenes = [hits.reshape(-1, 4) for hits in three.values()]
    generator, draws = np.random.default_rng(1), []
    total = sum(map(len, scenes))
    for _ in range(3000):
        counts = np.bincount(generator.integers(0, total, total), minlength=total)
        parts = np.split(counts, np.cumsum([len(s) for s in scenes])[:-1])
        if all(part.sum() for part in parts):
            shares = [
                (scene.mean(1) * part).sum() / part.sum()
                for scene, part in zip(scenes, parts, strict=True)
            ]
            draws.append(np.mean(shares))
    expected = np.quantile(draws, (0.025, 0.975))
    assert found["intervals"][name] == pytest.approx(expected.tolist(), abs=0.02)


def test_a_lacking_split_is_said(three, tmp_path, capsys):
    assert main(["splits", str(tmp_path / "s1"), str(tmp_path / "s3")]) == 0
    shown = capsys.readouterr().out
    assert "Of the official splits 2 are lacking" in shown
    assert "mean_of_splits_1_3" in shown


def test_seeds_of_a_split_are_averaged_first(three, tmp_path):
    split_run(tmp_path / "again", 1, np.zeros(40, bool), seed=1)
    runs = [read_run(tmp_path / name) for name in ("s1", "again", "s2")]
    found = mean_over_splits(runs)
    assert found.values[1] == pytest.approx(three[1].mean() / 2)
    assert found.mean == pytest.approx((three[1].mean() / 2 + three[2].mean()) / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": 2, "more": [("optimizer.learning_rate", 0.1)]}, "differ in optimizer.learning"),
        ({"split": 2, "protocol": [("num_clips", 5)]}, "differ in protocol.num_clips: 2 and 5"),
        ({"split": 1}, "are of split 1 and of one seed"),
        ({"split": None}, "other has no data.split; name runs on UCF-101"),
    ],
)
def test_what_is_no_mean_over_splits_is_refused(three, tmp_path, options, message):
    split_run(tmp_path / "other", hits=drawn(40, 0.7, 5), **options)
    with pytest.raises(ConfigError, match=message):
        mean_over_splits([read_run(tmp_path / name) for name in ("s1", "s3", "other")])


def test_one_split_is_no_mean(three, tmp_path):
    with pytest.raises(ConfigError, match="needs runs of two splits or more"):
        mean_over_splits([read_run(tmp_path / "s1")])
