"""Exact tests against values that are known: by hand, from R, from published examples."""

import re
from fractions import Fraction
from math import comb

import pytest

from videoclf.comparing.significance import binomial_p_value, holm, mcnemar_p_value


def exact(outcomes, trials, chance):
    chance = Fraction(chance)
    return float(sum(comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in outcomes))


@pytest.mark.parametrize(
    ("successes", "trials", "chance", "alternative", "expected"),
    [
        (8, 10, 0.5, "greater", 56 / 1024),
        (8, 10, 0.5, "less", 1013 / 1024),
        (8, 10, 0.5, "two-sided", 112 / 1024),
        (5, 10, 0.5, "two-sided", 1.0),
        (682, 925, 0.75, "two-sided", 0.3824916),  # R: binom.test(682, 925, 0.75), Conover (1971)
        (0, 0, 0.5, "two-sided", 1.0),
        (0, 7, 0.0, "greater", 1.0),
        (1, 7, 0.0, "greater", 0.0),
        (7, 7, 1.0, "two-sided", 1.0),
    ],
)
def test_binomial(successes, trials, chance, alternative, expected):
    found = binomial_p_value(successes, trials, chance, alternative)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-15)


def test_thousands_of_trials_lose_no_digits():
    found = binomial_p_value(1100, 2000, 0.5, "greater")
    assert found == pytest.approx(exact(range(1100, 2001), 2000, Fraction(1, 2)), rel=1e-10)
    assert binomial_p_value(50_500, 100_000, 0.5, "less") > 0.99


def test_an_unsymmetric_chance_counts_the_less_probable_outcomes_on_both_sides():
    # P(0..4 of 4 at 1/4) = 81, 108, 54, 12, 1 of 256: as improbable as 3 are 3 and 4 only
    assert binomial_p_value(3, 4, 0.25) == pytest.approx(13 / 256)
    assert binomial_p_value(2, 4, 0.25) == pytest.approx(67 / 256)
    assert binomial_p_value(0, 4, 0.25) == pytest.approx(148 / 256)


def test_mcnemar_sees_disagreements_only():
    assert mcnemar_p_value(2, 8) == pytest.approx(112 / 1024)
    assert mcnemar_p_value(8, 2) == mcnemar_p_value(2, 8)
    assert mcnemar_p_value(0, 0) == 1.0
    assert mcnemar_p_value(0, 6) == pytest.approx(2 / 64)


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: binomial_p_value(5, 4, 0.5), "successes must be from 0 to 4 (trials), not 5"),
        (lambda: binomial_p_value(1, 4, 1.5), "chance must be from 0 to 1, not 1.5"),
        (lambda: binomial_p_value(1, 4, 0.5, "both"), "not 'both'"),
        (lambda: holm([0.1, float("nan")]), "p-values must be from 0 to 1, not nan"),
    ],
)
def test_mistakes(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()
