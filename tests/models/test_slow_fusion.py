import pytest
import torch

from tests.models.contract import check_contract, configured
from videoclf.models.slow_fusion import SlowFusion


def slow_fusion(**changes):
    settings = {
        "num_classes": 5,
        "num_frames": 8,
        "widths": (8, 16),
        "temporal_strides": (1, 2),
        "convs_per_stage": 1,
        "dropout": 0.0,
    }
    torch.manual_seed(0)
    return SlowFusion(**{**settings, **changes}).eval()


def test_contract():
    check_contract(lambda: configured("slow_fusion"))


def test_shapes():
    assert slow_fusion()(torch.randn(2, 3, 8, 32, 32)).shape == (2, 5)


def test_any_longer_clip_and_any_crop_pass():
    assert slow_fusion()(torch.randn(1, 3, 11, 40, 24)).shape == (1, 5)


def test_parameters_are_those_of_the_formula():
    # 27 * cin * cout a convolution, two a channel of batch norm, the classifier with bias
    expected = 27 * 3 * 8 + 16 + 27 * 8 * 16 + 32 + 16 * 5 + 5
    assert sum(parameter.numel() for parameter in slow_fusion().parameters()) == expected
    deeper = expected + 27 * 8 * 8 + 16 + 27 * 16 * 16 + 32
    two = slow_fusion(convs_per_stage=2)
    assert sum(parameter.numel() for parameter in two.parameters()) == deeper


def test_the_order_of_frames_matters():
    rgb = torch.randn(1, 3, 8, 32, 32)
    model = slow_fusion()
    assert (model(rgb) - model(rgb.flip(2))).abs().max() > 1e-3


def test_too_few_frames_for_the_strides():
    with pytest.raises(ValueError, match="shrink time by 8, more than the clip's 4 frames"):
        slow_fusion(num_frames=4, temporal_strides=(2, 4))


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"widths=\[8, 16\] and model.temporal_strides=\[1\]"):
        slow_fusion(temporal_strides=(1,))
