"""Intervals against arithmetic that is known: binomial spread, whole groups, tables of t."""

import math

import numpy as np
import pytest

from videoclf.evaluation.intervals import bootstrap_interval, t_interval


def mean_of(values):
    values = np.asarray(values, dtype=float)
    return lambda rows: float(values[rows].mean())


def test_videos_by_themselves_spread_as_a_binomial():
    hits = [1.0] * 320 + [0.0] * 80
    low, high = bootstrap_interval(mean_of(hits), [None] * 400, num_draws=4000)
    error = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert (low, high) == pytest.approx((0.8 - error, 0.8 + error), abs=0.006)
    assert (low, high) == bootstrap_interval(mean_of(hits), [None] * 400, num_draws=4000)


def test_groups_are_drawn_whole():
    # 40 groups of 10 alike videos carry the evidence of 40, not of 400
    hits = np.repeat([1.0] * 32 + [0.0] * 8, 10)
    groups = np.repeat([f"scene {k}" for k in range(40)], 10).tolist()
    low, high = bootstrap_interval(mean_of(hits), groups, num_draws=4000)
    error = 1.96 * math.sqrt(0.8 * 0.2 / 40)
    assert (low, high) == pytest.approx((0.8 - error, 0.8 + error), abs=0.03)

    def whole(rows):
        assert all(count % 10 == 0 for count in np.bincount(rows // 10))
        return 0.0

    assert bootstrap_interval(whole, groups, num_draws=20) == (0.0, 0.0)


def test_groups_of_unequal_size_stand_wherever_they_like():
    seen = []
    bootstrap_interval(
        lambda rows: seen.append(np.bincount(rows, minlength=6)) or 0.0,
        ["a", "b", "a", None, "b", "a"],
        num_draws=50,
    )
    for count in seen:
        assert count[0] == count[2] == count[5]
        assert count[1] == count[4]
        assert count[0] + count[1] + count[3] == 3  # groups drawn


def test_one_group_says_nothing_and_nan_is_left_out():
    assert bootstrap_interval(mean_of([1, 0]), ["a", "a"]) is None
    assert bootstrap_interval(mean_of([]), []) is None
    assert bootstrap_interval(lambda rows: math.nan, [None, None]) is None
    odd = bootstrap_interval(lambda rows: 0.5 if rows[0] else math.nan, [None, None])
    assert odd == (0.5, 0.5)


@pytest.mark.parametrize(
    ("count", "quantile"), [(2, 12.706), (3, 4.303), (31, 2.042), (32, 2.0395), (1001, 1.9623)]
)
def test_t_interval_of_known_quantiles(count, quantile):
    values = [0.5 + 0.1 * (-1) ** k for k in range(count)]
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    reach = quantile * deviation / math.sqrt(count)
    assert t_interval(values) == pytest.approx((mean - reach, mean + reach), rel=1e-4)


def test_t_interval_by_hand():
    # mean 0.6, standard deviation 0.1, three values: 4.303 * 0.1 / sqrt(3)
    assert t_interval([0.5, 0.6, 0.7]) == pytest.approx((0.3516, 0.8484), abs=1e-4)
    assert t_interval([0.5]) is None
