import numpy as np
import pytest

from videoclf.generated.outlines import OUTLINES

SPAN = np.linspace(-1.2, 1.2, 241)
X, Y = np.meshgrid(SPAN, SPAN)


@pytest.mark.parametrize("outline", OUTLINES, ids=lambda outline: outline.__name__)
def test_fits_the_unit_circle_and_fills_some_of_it(outline):
    inside = outline(X, Y) < 0
    assert np.hypot(X, Y)[inside].max() <= 1
    assert np.hypot(X, Y)[inside].max() > 0.8
    assert 0.15 < inside.sum() / (np.hypot(X, Y) < 1).sum() < 0.7


@pytest.mark.parametrize("outline", OUTLINES, ids=lambda outline: outline.__name__)
def test_every_turn_shows(outline):
    inside = outline(X, Y) < 0
    for degrees in range(10, 360, 10):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turned = outline(cosine * X + sine * Y, cosine * Y - sine * X) < 0
        assert (turned ^ inside).sum() > 0.06 * inside.sum(), degrees


@pytest.mark.parametrize("outline", OUTLINES, ids=lambda outline: outline.__name__)
def test_distances_are_distances_at_the_edge(outline):
    distance = outline(X, Y)
    steepness = np.hypot(*np.gradient(distance, SPAN[1] - SPAN[0]))
    edge = abs(distance) < 0.05
    assert np.median(steepness[edge]) == pytest.approx(1, abs=0.01)
    # a distance rises by 1 a unit at most; differences taken across a corner overshoot a little
    assert steepness.max() < 1.1
