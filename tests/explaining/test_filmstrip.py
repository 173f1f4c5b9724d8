import numpy as np
import pytest
from PIL import Image

from videoclf.explaining.clips import Clips
from videoclf.explaining.explanation import Explanation
from videoclf.explaining.filmstrip import draw, full_colour, overlay


def pictures(num_frames=6, height=32, width=48):
    return np.full((num_frames, height, width, 3), 100, np.uint8)


def laid_over(heat):
    return overlay(pictures(), heat, full_colour(heat), 1 / heat.size).astype(int)


def test_no_heat_and_even_heat_leave_grey_pictures():
    """Rollout that says nothing must not look as if it did."""
    heat = np.zeros((6, 32, 48))
    assert (laid_over(heat) == 100).all()
    assert (laid_over(np.full_like(heat, 1 / heat.size)) == 100).all()
    nearly = np.full_like(heat, 1 / heat.size)
    nearly[2] *= 1.05
    assert abs(laid_over(nearly) - 100).max() < 10


def test_heat_colours_its_pixels_and_no_others():
    heat = np.zeros((6, 32, 48))
    heat[2, 8:16, 8:16] = 1 / 64
    coloured = np.ptp(laid_over(heat), axis=-1) > 30
    assert (coloured == (heat > 0)).all()


def test_one_hot_pixel_does_not_hide_the_rest():
    heat = np.zeros((6, 32, 48))
    heat[2, 8:24, 8:24] = 1
    heat[2, 8, 8] = 100
    heat /= heat.sum()
    coloured = np.ptp(laid_over(heat), axis=-1) > 30
    assert (coloured == (heat > 0)).all()


@pytest.mark.parametrize(("num_clips", "num_frames"), [(1, 4), (2, 32)])
def test_a_picture_of_every_clip(tmp_path, num_clips, num_frames):
    heat = [np.full((num_frames, 32, 48), 1 / (num_frames * 32 * 48))] * num_clips
    explanation = Explanation(
        method="grad-cam",
        layer="stages",
        class_name="a",
        probabilities={"a": 0.75, "b": 0.25},
        maps=[each[:, ::8, ::8] for each in heat],
        heat=heat,
        shares=[each.sum((1, 2)) for each in heat],
    )
    clips = Clips(
        inputs={},
        pictures=np.stack([pictures(num_frames)] * num_clips),
        seconds=np.arange(num_clips * num_frames).reshape(num_clips, num_frames) / 25,
    )
    draw(explanation, clips, "v.mp4: a 75.0%", tmp_path / "v.png")
    with Image.open(tmp_path / "v.png") as picture:
        width, height = picture.size
    assert 600 < width < 1100
    assert height > 200 * num_clips
    found = explanation.as_json(clips.seconds)
    assert found["best"] == {"a": 0.75, "b": 0.25}
    assert len(found["clips"]) == num_clips
    assert found["clips"][0]["shares"] == [pytest.approx(1 / num_frames, abs=1e-6)] * num_frames
