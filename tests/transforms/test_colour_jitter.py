import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from videoclf.transforms.colour_jitter import ColourJitter


def jitter(**changes):
    off = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    return ColourJitter(**{**off, **changes})


def some_clip():
    return torch.randint(0, 256, (3, 4, 12, 10), dtype=torch.uint8)


def test_factors_are_uniform_around_one_and_hue_around_zero():
    generator = np.random.default_rng(0)
    made = jitter(brightness=0.4, contrast=2.0, hue=0.1)
    draws = [dict(made.draw(generator)) for _ in range(500)]
    assert set(draws[0]) == {"brightness", "contrast", "hue"}
    for name, low, high in [("brightness", 0.6, 1.4), ("contrast", 0, 3), ("hue", -0.1, 0.1)]:
        values = np.array([draw[name] for draw in draws])
        assert low <= values.min() < low + 0.03 * (high - low)
        assert high >= values.max() > high - 0.03 * (high - low)


def test_the_order_is_drawn_too():
    generator = np.random.default_rng(0)
    made = jitter(brightness=0.4, contrast=0.4)
    orders = {tuple(name for name, _ in made.draw(generator)) for _ in range(20)}
    assert orders == {("brightness", "contrast"), ("contrast", "brightness")}


def test_a_change_of_each_pixel_is_that_of_torchvision_on_each_frame():
    clip = some_clip()
    changed = jitter().apply(clip, [("saturation", 0.3), ("hue", 0.2), ("brightness", 1.3)])
    frames = clip.transpose(0, 1)
    expected = F.adjust_brightness(F.adjust_hue(F.adjust_saturation(frames, 0.3), 0.2), 1.3)
    assert torch.equal(changed, expected.transpose(0, 1))


def test_contrast_is_around_the_mean_of_all_frames():
    clip = torch.zeros(3, 2, 4, 4, dtype=torch.uint8)
    clip[:, 1] = 200  # a dark frame, a bright one
    flat = jitter().apply(clip, [("contrast", 0.0)])
    assert flat.unique().tolist() == [99]  # torchvision rounds grey down: 199 of 200


def test_off_is_off():
    assert not jitter().active
    assert jitter(hue=0.1).active
    assert jitter().draw(np.random.default_rng(0)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contrast": -1.0}, "transform.colour_jitter.contrast=-1.0 must be at least 0; 0 switch"),
        ({"hue": 0.6}, r"transform.colour_jitter.hue=0.6 must be in \[0, 0.5\]"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        jitter(**changes)
