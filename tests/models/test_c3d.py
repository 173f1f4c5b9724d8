import pytest
import torch

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error

TINY = {"widths": [4, 8, 8, 8, 8], "hidden": [16, 12], "num_frames": 16}


@pytest.mark.parametrize("name", ["c3d", "c3d_small"])
def test_contract(name):
    check_contract(lambda: configured(name, **TINY), num_frames=16)


@pytest.mark.parametrize(
    ("num_classes", "parameters", "macs"), [(101, 78_409_573, 38.547), (487, 79_991_015, 38.549)]
)
def test_parameters_and_macs_are_the_published(num_classes, parameters, macs):
    with torch.device("meta"):
        model = configured("c3d", num_classes=num_classes, num_frames=16, image_size=112)
    assert count(model) == parameters
    assert giga_macs(model, 16, 112) == pytest.approx(macs, abs=5e-4)


def test_the_last_maps_are_512_by_1_by_4_by_4():
    with torch.device("meta"):
        model = configured("c3d", num_frames=16, image_size=112)
        assert model.stages(torch.zeros(1, 3, 16, 112, 112)).shape == (1, 512, 1, 4, 4)
        assert model.features(torch.zeros(1, 3, 16, 112, 112)).shape == (1, 4096)


def test_the_small_variant():
    with torch.device("meta"):
        model = configured("c3d_small", num_classes=101, num_frames=16, image_size=112)
    widths = (3, 64, 128, 256, 256, 256)
    convolutions = sum(27 * widths[i] * widths[i + 1] + widths[i + 1] for i in range(5))
    hidden = 256 * 16 * 2048 + 2048 + 2048**2 + 2048
    assert count(model) == convolutions + hidden + 2048 * 101 + 101


def test_the_order_of_frames_matters():
    assert permutation_error(configured("c3d", **TINY), torch.randn(1, 3, 16, 32, 32)) > 1e-2


def test_a_signal_keeps_its_size_through_the_layers():
    model = configured("c3d_small", num_frames=16).eval()
    features = model.features(torch.randn(2, 3, 16, 32, 32))
    assert 0.1 < features.std() < 10


def test_wrong_values():
    with pytest.raises(
        ValueError,
        match=r"model.temporal_pools=\[1, 2, 2, 2, 2\] shrink time by 16, which needs clips of 16 "
        "frames, not 12; raise sampler.num_frames to 16",
    ):
        configured("c3d_small", num_frames=12)
    with pytest.raises(ValueError, match="crops of 8 pixels are too small for 5 poolings"):
        configured("c3d", **TINY, image_size=8)
    with pytest.raises(ValueError, match=r"model.widths=\[4, 8\], .* must have equal length"):
        configured("c3d", **{**TINY, "widths": [4, 8]})
    with pytest.raises(ValueError, match="built for clips of 16 frames, not 20"):
        configured("c3d", **TINY)(torch.zeros(1, 3, 20, 32, 32))
