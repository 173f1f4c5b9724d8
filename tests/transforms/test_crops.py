import numpy as np
import pytest

from videoclf.transforms.crops import (
    Box,
    largest_centre_square,
    random_area_box,
    random_square,
    view_boxes,
)


def test_random_areas_stay_inside_and_keep_their_bounds():
    generator = np.random.default_rng(0)
    for _ in range(200):
        box = random_area_box(32, 48, generator, area=(0.4, 0.6), aspect=(0.75, 1.3333))
        assert box is not None
        assert 0 <= box.top <= 32 - box.height
        assert 0 <= box.left <= 48 - box.width
        assert 0.35 <= box.height * box.width / (32 * 48) <= 0.65
        assert 0.7 <= box.width / box.height <= 1.4


def test_an_area_that_never_fits_is_none():
    generator = np.random.default_rng(0)
    assert random_area_box(32, 48, generator, area=(1.0, 1.0), aspect=(1.0, 1.0)) is None


def test_random_squares_reach_every_place():
    generator = np.random.default_rng(0)
    boxes = {random_square(6, 8, 5, generator) for _ in range(200)}
    assert boxes == {Box(top, left, 5, 5) for top in range(2) for left in range(4)}


def test_the_largest_centre_square_has_the_short_side():
    assert largest_centre_square(32, 48) == Box(0, 8, 32, 32)
    assert largest_centre_square(48, 32) == Box(8, 0, 32, 32)


@pytest.mark.parametrize(
    ("size", "num_crops", "corners"),
    [
        ((32, 48), 1, [(4, 12)]),
        ((32, 48), 3, [(4, 0), (4, 12), (4, 24)]),
        ((48, 32), 3, [(0, 4), (12, 4), (24, 4)]),
        ((32, 48), 5, [(0, 0), (0, 24), (8, 0), (8, 24), (4, 12)]),
        ((32, 48), 10, [(0, 0), (0, 24), (8, 0), (8, 24), (4, 12)]),
    ],
)
def test_test_crops_lie_where_the_protocol_says(size, num_crops, corners):
    boxes = view_boxes(*size, 24, num_crops)
    assert [(box.top, box.left) for box in boxes] == corners
    assert {(box.height, box.width) for box in boxes} == {(24, 24)}


def test_impossible_crops_are_refused():
    with pytest.raises(ValueError, match="a frame of 48x20 has no crop of 24 pixels"):
        view_boxes(20, 48, 24, 1)
    with pytest.raises(ValueError, match="views.num_crops=4 must be 1, 3, 5 or 10"):
        view_boxes(32, 48, 24, 4)
