from dataclasses import replace

import numpy as np
import pytest

from videoclf.generated.outlines import OUTLINES
from videoclf.generated.shapes import Appearance, States, Surface, draw_frames, oklch_to_srgb

WHITE = np.ones((2, 3), np.float32)
#: a fat arrow that points up, red on white
ARROW = Appearance(
    outline=[outline.__name__ for outline in OUTLINES].index("arrow"),
    shape=Surface(WHITE * np.float32([1, 0, 0]), "plain", 1.0, 0.0, 0.0),
    rim=np.float32([1, 0, 0]),
    background=Surface(WHITE, "plain", 1.0, 0.0, 0.0),
)


def states(*rows):
    return States(*np.array(rows, np.float64).T)


def redness(frames):
    """How much of each pixel is the arrow's, float (T, H, W)."""
    return 1 - frames[..., 1] / 255


def test_what_leaves_on_one_side_comes_back_on_the_other():
    frames = draw_frames(
        ARROW, states((0.5, 0.5, 1, 0.3), (0.75, 0.5, 1, 0.3), (0.5, 1.0, 1, 0.3)), 32
    )
    np.testing.assert_array_equal(frames[1], np.roll(frames[0], 8, axis=1))
    np.testing.assert_array_equal(frames[2], np.roll(frames[0], 16, axis=0))


@pytest.mark.parametrize("size_pixels", [16, 18, 32])
def test_the_largest_shape_does_not_overlap_itself(size_pixels):
    frames = draw_frames(ARROW, states((0.5, 0.5, 0, 0.38), (0, 0, 0, 0.38)), size_pixels)
    half = size_pixels // 2
    np.testing.assert_array_equal(frames[1], np.roll(frames[0], (half, half), axis=(0, 1)))


def test_the_arrow_points_up_and_positive_angles_turn_clockwise():
    frames = draw_frames(ARROW, states((0.5, 0.5, 0, 0.35), (0.5, 0.5, np.pi / 2, 0.35)), 64)
    up, right = redness(frames)
    # the head is the wide half
    assert (up.max(axis=1) > 0.5).sum() > (up.max(axis=0) > 0.5).sum()
    assert up[:32].sum() > 1.1 * up[32:].sum()
    assert right[:, 32:].sum() > 1.1 * right[:, :32].sum()


def test_a_tenth_of_a_pixel_shows():
    frames = draw_frames(ARROW, states((0.5, 0.5, 0, 0.3), (0.5 + 0.1 / 64, 0.5, 0, 0.3)), 64)
    columns = np.arange(64)
    centres = [(red.sum(axis=0) * columns).sum() / red.sum() for red in redness(frames)]
    assert centres[1] - centres[0] == pytest.approx(0.1, abs=0.02)


def test_area_grows_with_the_square_of_the_radius():
    small, large = redness(draw_frames(ARROW, states((0.5, 0.5, 0, 0.15), (0.5, 0.5, 0, 0.3)), 64))
    assert large.sum() / small.sum() == pytest.approx(4, rel=0.03)


def test_a_frame_depends_on_its_own_state_alone():
    generator = np.random.default_rng(0)
    appearance = Appearance.sample(generator)
    rows = generator.uniform(size=(7, 4)) * [1, 1, 6, 0.3]
    order = generator.permutation(7)
    # the same radius in both, or the box drawn differs; its rim is background all the same
    frames = draw_frames(appearance, states(*rows), 32)
    np.testing.assert_array_equal(frames[order], draw_frames(appearance, states(*rows[order]), 32))
    alone = [draw_frames(appearance, states(row), 32)[0] for row in rows]
    np.testing.assert_array_equal(frames, alone)


def test_all_textures_and_outlines_are_drawn_and_shapes_stand_out():
    generator = np.random.default_rng(0)
    appearances = [Appearance.sample(generator) for _ in range(100)]
    assert {a.outline for a in appearances} == set(range(len(OUTLINES)))
    for surface in ("shape", "background"):
        kinds = {getattr(a, surface).texture for a in appearances}
        assert kinds == {"plain", "stripes", "rings", "dots", "waves"}
    for appearance in appearances:
        frame = draw_frames(appearance, states((0.5, 0.5, 0, 0.35)), 32)[0]
        behind = draw_frames(
            replace(appearance, shape=appearance.background), states((0, 0, 0, 0.05)), 32
        )[0]
        difference = abs(frame.astype(int) - behind).max(axis=-1)
        assert (difference > 50).sum() > 30


def test_colours():
    np.testing.assert_allclose(oklch_to_srgb(1, 0, 0), [1, 1, 1], atol=1e-3)
    np.testing.assert_allclose(oklch_to_srgb(0, 0, 0), [0, 0, 0], atol=1e-3)
    red = oklch_to_srgb(0.628, 0.2577, np.radians(29.23))  # sRGB's red, as Ottosson gives it
    np.testing.assert_allclose(red, [1, 0, 0], atol=5e-3)
