"""The colour code, against torchvision's, and the wheel."""

import numpy as np
import pytest
import torch
from torchvision.utils import flow_to_image

from videoclf.flow.colours import colour_wheel, flow_colours


def test_the_code_is_middleburys():
    fields = np.random.default_rng(0).normal(size=(2, 40, 50, 2)).astype(np.float32)
    for field in fields:
        full = float(np.linalg.norm(field, axis=-1).max()) * (1 + 1e-6)
        theirs = flow_to_image(torch.from_numpy(field).permute(2, 0, 1)).permute(1, 2, 0).numpy()
        assert np.abs(flow_colours(field, full).astype(int) - theirs).max() <= 1


def test_rest_is_white_right_is_red_and_fast_is_dark():
    fields = np.array([[[0, 0], [2, 0], [4, 0]]], np.float32)  # (1, 3, 2)
    rest, right, fast = flow_colours(fields, 2.0)[0].tolist()
    assert rest == [255, 255, 255]
    assert right[0] == 255
    assert max(right[1:]) < 60
    assert fast[0] == int(255 * 0.75)
    with pytest.raises(ValueError, match="must be above 0, not 0"):
        flow_colours(fields, 0.0)


def test_the_wheel():
    wheel = colour_wheel(65)
    assert wheel.shape == (65, 65, 3)
    assert wheel[32, 32].tolist() == [255, 255, 255]
    assert wheel[0, 0].tolist() == [255, 255, 255]
    assert wheel[32, 64].tolist() == flow_colours(np.array([[1.0, 0.0]]), 1.0)[0].tolist()
