"""The arithmetic of a comparison, on runs whose right and wrong videos are chosen."""

import numpy as np
import pytest

from tests.comparing.finished_runs import make_run
from videoclf.comparing.comparison import compare
from videoclf.comparing.finished_run import read_run
from videoclf.errors import ConfigError


def right(count, of=100, begin=0):
    """The first `count` videos are right, from `begin` on."""
    return [begin <= n < begin + count for n in range(of)]


def make(tmp_path, **runs):
    return [read_run(make_run(tmp_path / name, **given)) for name, given in runs.items()]


def test_rows_values_and_intervals(tmp_path):
    fast = [("optimizer.learning_rate", 0.1)]
    (table,) = compare(
        make(
            tmp_path,
            a={"hits": right(50), "seed": 1, "train_seconds": 10.0},
            b={"hits": right(60), "seed": 2, "train_seconds": 20.0},
            c={"hits": right(70), "seed": 3, "train_seconds": None},
            d={"hits": right(90), "seed": 1, "config": fast},
        )
    )
    best, other = table.rows
    assert (best.name, other.name) == ("learning_rate=0.1", "learning_rate=0.002")
    assert (other.seeds, other.values) == ((1, 2, 3), (0.5, 0.6, 0.7))
    assert other.mean == pytest.approx(0.6)
    assert other.seed_interval == pytest.approx((0.3516, 0.8484), abs=1e-4)
    assert best.seed_interval is None
    error = 1.96 * np.sqrt(0.9 * 0.1 / 100)
    assert best.video_interval == pytest.approx((0.9 - error, 0.9 + error), abs=0.02)
    assert (other.train_seconds, other.step_seconds) == (15.0, None)
    assert (table.num_videos, table.num_groups) == (100, 0)
    assert table.metric == "test/video_top1_2x1"


def test_groups_widen_the_interval_over_videos(tmp_path):
    groups = [f"scene {n // 10}" for n in range(100)]
    runs = make(
        tmp_path,
        a={"hits": right(50), "groups": groups},
        b={"hits": right(50, begin=50), "groups": groups, "seed": 1},
    )
    (table,) = compare(runs)
    (row,) = table.rows
    assert table.num_groups == 10
    assert row.video_interval == (0.5, 0.5)  # one network is right where the other is wrong
    (single,) = compare(
        [runs[0], read_run(make_run(tmp_path / "c", right(50), groups=groups, model="other"))]
    )
    low, high = single.rows[0].video_interval
    assert high - low > 0.5  # ten scenes, of which five are right; a hundred videos give 0.2


def test_parameters_and_operations_are_counted(tmp_path):
    (table,) = compare(make(tmp_path, a={"hits": right(50)}, b={"hits": right(60), "seed": 1}))
    cost = table.rows[0].cost
    # convolutions of 3x3x3, norms of two numbers a channel, the classifier
    assert cost.parameters == 27 * 3 * 4 + 8 + 27 * 4 * 8 + 16 + 8 * 2 + 2
    assert cost.macs > 27 * 3 * 4


def test_a_network_of_another_package_has_no_known_cost(tmp_path):
    theirs = [("model._target_", "theirs.Net"), ("trusted_packages", ["theirs"])]
    (table,) = compare(
        make(
            tmp_path,
            a={"hits": right(50), "config": theirs},
            b={"hits": right(60), "seed": 1, "config": theirs},
        )
    )
    assert table.rows[0].cost is None
    assert "model._target_=theirs.Net is not on the list" in table.notes[0]


def test_two_runs_are_tested_checkpoint_against_checkpoint(tmp_path):
    hits = right(60), right(68, begin=2)  # 2 only first, 10 only second
    (table,) = compare(make(tmp_path, a={"hits": hits[0]}, b={"hits": hits[1], "model": "other"}))
    (pair,) = table.pairs
    assert (pair.first, pair.second) == ("other", "slow_fusion")
    assert (pair.both, pair.only_first, pair.only_second, pair.neither) == (58, 10, 2, 30)
    assert pair.p_value == pytest.approx(2 * (1 + 12 + 66) / 4096)
    assert pair.corrected == pair.p_value


def test_the_best_two_rows_are_tested_seed_by_seed(tmp_path):
    runs = make(
        tmp_path,
        a1={"hits": right(60), "seed": 1},
        a2={"hits": right(50), "seed": 2},
        b1={"hits": right(66), "seed": 1, "model": "b"},
        b2={"hits": right(55), "seed": 2, "model": "b"},
        c1={"hits": right(10), "seed": 1, "model": "c"},
    )
    (table,) = compare(runs)
    assert [(pair.first, pair.second) for pair in table.pairs] == [
        ("b (seed 1)", "slow_fusion (seed 1)"),
        ("b (seed 2)", "slow_fusion (seed 2)"),
    ]
    first, second = table.pairs
    assert (first.p_value, second.p_value) == pytest.approx((2 / 64, 2 / 32))
    assert (first.corrected, second.corrected) == pytest.approx((4 / 64, 4 / 64))


def test_a_repetition_is_no_further_seed(tmp_path):
    runs = make(
        tmp_path, a={"hits": right(50)}, b={"hits": right(60)}, c={"hits": right(1), "seed": 1}
    )
    (table,) = compare(runs)
    assert table.rows[0].values == (0.6, 0.01)
    assert table.notes[0].startswith(f"{tmp_path / 'a'} is left out: {tmp_path / 'b'} has the same")


def test_runs_on_other_data_are_refused_or_apart(tmp_path):
    runs = make(
        tmp_path,
        a={"hits": right(50)},
        b={"hits": right(60), "protocol": [("num_clips", 10)]},
    )
    sentence = "are not comparable: protocol.num_clips 2 and 10; evaluate both"
    with pytest.raises(ConfigError, match=sentence):
        compare(runs)
    one, other = compare(runs, allow_different=True)
    assert (one.differs, other.differs) == (
        {"protocol.num_clips": "2"},
        {"protocol.num_clips": "10"},
    )
    assert (len(one.rows), len(other.rows), one.pairs) == (1, 1, ())


def test_other_mistakes(tmp_path):
    runs = make(tmp_path, a={"hits": right(50)}, b={"hits": right(60)})
    with pytest.raises(ConfigError, match="needs two runs or more"):
        compare(runs[:1])
    with pytest.raises(ConfigError, match="has no metric 'test/x'; it has test/video_top1_2x1"):
        compare(runs, metric="test/x")
