import numpy as np
import pytest
import torch

from videoclf.transforms.erasing import RandomErasing


def erasing(**changes):
    settings = {"probability": 1.0, "area": (0.02, 0.3333), "aspect": (0.3, 3.3333)}
    return RandomErasing(**{**settings, **changes})


def test_the_box_and_its_noise_stand_still():
    clip = torch.zeros(3, 5, 20, 30, dtype=torch.uint8)
    box, noise = erasing(area=(0.2, 0.3)).draw(20, 30, np.random.default_rng(0))
    erasing().apply(clip, box, noise)
    assert (clip == clip[:, :1]).all()
    window = clip[:, 0, box.top : box.top + box.height, box.left : box.left + box.width]
    assert torch.equal(window, torch.from_numpy(noise).permute(2, 0, 1))
    clip[:, :, box.top : box.top + box.height, box.left : box.left + box.width] = 0
    assert (clip == 0).all()  # nothing outside of the box


def test_boxes_keep_area_aspect_and_probability():
    generator = np.random.default_rng(0)
    drawn = [erasing(probability=0.25).draw(112, 112, generator) for _ in range(800)]
    boxes = [box for box, _ in filter(None, drawn)]
    assert len(boxes) / 800 == pytest.approx(0.25, abs=0.04)
    shares = [box.height * box.width / 112**2 for box in boxes]
    assert 0.018 <= min(shares) < 0.05
    assert 0.3 < max(shares) <= 0.34
    assert all(0.28 < box.width / box.height < 3.6 for box in boxes)


def test_a_box_that_never_fits_erases_nothing():
    wide = erasing(area=(0.5, 0.5), aspect=(9.0, 9.0))
    assert wide.draw(20, 20, np.random.default_rng(0)) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probability": -1}, "transform.erasing.probability=-1 must be in"),
        ({"area": (0.5, 0.1)}, r"transform.erasing.area=\[0.5, 0.1\] must be ascending"),
        ({"aspect": (0.0, 1.0)}, r"transform.erasing.aspect=\[0.0, 1.0\] must be ascending"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        erasing(**changes)
    assert not erasing(probability=0.0).active
