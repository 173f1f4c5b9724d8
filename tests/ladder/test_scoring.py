import numpy as np
import pytest

from videoclf.ladder.scoring import tied_accuracy


def test_ties_share_the_point():
    probabilities = np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8], [0.50000001, 0.49999999]])
    assert tied_accuracy(probabilities, np.array([0, 0, 0, 1])) == (0.5 + 1 + 0 + 0.5) / 4
    thirds = np.full((3, 3), 1 / 3)
    assert tied_accuracy(thirds, np.array([0, 1, 2])) == pytest.approx(1 / 3)


def test_a_blind_network_scores_exactly_chance_whatever_it_prefers():
    generator = np.random.default_rng(0)
    orbits = generator.dirichlet(np.ones(3), 40)  # one answer an orbit, but for rounding
    probabilities = np.repeat(orbits, 3, axis=0) + generator.normal(0, 1e-8, (120, 3))
    labels = np.tile([0, 1, 2], 40)
    assert tied_accuracy(probabilities, labels) == pytest.approx(1 / 3, abs=1e-12)
