import pytest
import torch

from tests.models.contract import check_contract, configured
from videoclf.models.slow_fusion import SlowFusion
from videoclf.models.temporal_difference import TemporalDifference

SETTINGS = {
    "num_classes": 5,
    "widths": (8, 16),
    "temporal_strides": (1, 2),
    "convs_per_stage": 1,
    "dropout": 0.0,
}


def temporal_difference(num_frames=8, floor=0.01, **changes):
    torch.manual_seed(0)
    settings = {**SETTINGS, **changes}
    return TemporalDifference(num_frames=num_frames, floor=floor, **settings).eval()


def test_contract():
    check_contract(lambda: configured("temporal_difference", num_frames=9), num_frames=9)


def test_shapes_and_parameters_are_those_of_slow_fusion():
    model = temporal_difference()
    assert model(torch.randn(2, 3, 8, 32, 32)).shape == (2, 5)
    plain = SlowFusion(num_frames=7, **SETTINGS)
    count = sum(p.numel() for p in model.parameters())
    assert count == sum(p.numel() for p in plain.parameters())


def test_what_stands_still_is_not_seen():
    model, clip = temporal_difference(), torch.randn(1, 3, 8, 32, 32)
    background = torch.randn(1, 3, 1, 32, 32)
    torch.testing.assert_close(model(clip + background), model(clip), atol=1e-4, rtol=1e-4)


def test_contrast_is_not_seen_but_by_the_floor():
    model, clip = temporal_difference(floor=0.0), torch.randn(1, 3, 8, 32, 32)
    torch.testing.assert_close(model(3 * clip), model(clip), atol=1e-4, rtol=1e-4)


def test_a_clip_without_motion_gives_finite_logits():
    still = torch.randn(1, 3, 1, 32, 32).expand(-1, -1, 8, -1, -1)
    assert torch.isfinite(temporal_difference()(still)).all()


def test_the_order_of_frames_matters():
    model, clip = temporal_difference(), torch.randn(1, 3, 8, 32, 32).cumsum(2)
    assert (model(clip) - model(clip.flip(2))).abs().max() > 1e-3


def test_too_few_frames():
    with pytest.raises(ValueError, match="a difference needs two frames, and a clip has 1"):
        temporal_difference(num_frames=1)
