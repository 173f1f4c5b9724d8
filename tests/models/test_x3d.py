import pytest
import torch

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error
from videoclf.models.x3d import squeezed_width

TINY = {"widths": [8, 8, 16, 16], "depths": [1, 2, 1, 1], "stem_width": 8, "head_width": 32}


def test_contract():
    check_contract(lambda: configured("x3d_m", **TINY, dropout=0.0), num_frames=4, image_size=64)


@pytest.mark.parametrize(
    ("name", "num_frames", "side", "parameters", "macs"),
    [
        ("x3d_xs", 4, 160, 3_794_274, 0.605),
        ("x3d_s", 13, 160, 3_794_274, 1.963),
        ("x3d_m", 16, 224, 3_794_274, 4.732),
        ("x3d_l", 16, 312, 6_153_384, 18.368),
    ],
)
def test_parameters_and_macs_are_the_published(name, num_frames, side, parameters, macs):
    with torch.device("meta"):
        model = configured(name, num_classes=400)
    assert count(model) == parameters
    assert giga_macs(model, num_frames, side) == pytest.approx(macs, abs=6e-4)


def test_squeezed_widths_are_the_published():
    assert [squeezed_width(channels, 1 / 16) for channels in (54, 108, 216, 432)] == [8, 8, 16, 32]


def test_every_other_block_weighs_its_channels():
    with torch.device("meta"):
        model = configured("x3d_m")
        without = configured("x3d_m", squeeze_ratio=0.0)
    names = [type(block.change[5]).__name__ for block in model.blocks]
    assert names[:3] == ["SqueezeExcitation", "Identity", "SqueezeExcitation"]  # 3 blocks
    assert names[3:5] == ["SqueezeExcitation", "Identity"]  # the next stage starts anew
    assert count(without) < count(model)


def test_the_order_of_frames_matters():
    assert permutation_error(configured("x3d_m", **TINY), torch.randn(1, 3, 8, 64, 64)) > 1e-3


def test_recomputed_blocks_give_the_same_gradients():
    rgb = torch.randn(2, 3, 4, 32, 32)
    gradients = []
    for recomputed in (False, True):
        model = configured("x3d_m", **TINY, dropout=0.0, checkpoint_activations=recomputed)
        model(rgb).square().sum().backward()
        gradients.append(model.stem[0].weight.grad)
    torch.testing.assert_close(*gradients)


def test_wrong_values():
    with pytest.raises(ValueError, match=r"model.widths=\[24\] and model.depths=\[3, 5, 11, 7\]"):
        configured("x3d_m", widths=[24])
    with pytest.raises(ValueError, match=r"model.stem_temporal_kernel=4 must be odd"):
        configured("x3d_m", stem_temporal_kernel=4)
    with pytest.raises(ValueError, match=r"\(B, 3, T, H, W\), not \(3, 4, 32, 32\)"):
        configured("x3d_m", **TINY)(torch.zeros(3, 4, 32, 32))
