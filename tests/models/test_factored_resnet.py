import pytest
import torch

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error
from videoclf.errors import ConfigError
from videoclf.models.factored_resnet import FACTORS

TINY = {"stem_width": 4, "depths": [1, 2, 1, 1], "dropout": 0.0}
R152 = [3, 8, 36, 3]


@pytest.mark.parametrize("factor", FACTORS)
def test_contract(factor):
    check_contract(lambda: configured("csn_r101", **TINY, factor=factor), image_size=64)


def test_contract_of_r2plus1d():
    check_contract(lambda: configured("r2plus1d_r50", **TINY), image_size=64)


@pytest.mark.parametrize(
    ("name", "num_frames", "parameters", "macs"),
    [("csn_r101", 32, 22_213_776, 56.468), ("r2plus1d_r50", 16, 28_107_600, 57.534)],
)
def test_parameters_and_macs_are_pytorchvideos(name, num_frames, parameters, macs):
    with torch.device("meta"):
        model = configured(name, num_classes=400)
    assert count(model) == parameters
    assert giga_macs(model, num_frames, 224) == pytest.approx(macs, abs=1e-3)


@pytest.mark.parametrize(
    ("depths", "factor", "parameters"),
    [
        ([3, 4, 6, 3], "interaction_reduced", 13_131_152),
        (R152, "interaction_reduced", 29_703_568),
        (R152, "interaction_preserved", 33_016_592),
    ],
)
def test_parameters_of_csn_are_mmactions(depths, factor, parameters):
    """As its configs/recognition/csn/metafile.yml lists them."""
    with torch.device("meta"):
        model = configured("csn_r101", num_classes=400, depths=depths, factor=factor)
    assert count(model) == parameters


@pytest.mark.parametrize("factor", FACTORS)
def test_strides_of_space_and_time(factor):
    model = configured("csn_r101", **TINY, factor=factor)
    assert model._encode(torch.zeros(1, 3, 16, 64, 64)).shape == (1, 128, 2, 2, 2)


def test_only_its_mixing_lets_channels_of_the_middle_meet():
    model = configured("csn_r101", **TINY, factor="interaction_reduced").eval()
    middle = model.res3[0].factored
    maps = torch.randn(1, 8, 4, 8, 8)
    other = maps.clone()
    other[:, 3] += 1
    changed = (middle(other) - middle(maps)).abs().amax((0, 2, 3, 4)) > 0
    assert changed.tolist() == [channel == 3 for channel in range(8)]


def test_the_order_of_frames_matters():
    assert permutation_error(configured("csn_r101", **TINY), torch.randn(1, 3, 8, 64, 64)) > 1e-3


def test_recomputed_blocks_give_the_same_gradients():
    rgb = torch.randn(2, 3, 4, 32, 32)
    gradients = []
    for recomputed in (False, True):
        model = configured("csn_r101", **TINY, checkpoint_activations=recomputed)
        model(rgb).square().sum().backward()
        gradients.append(model.stem[0].weight.grad)
    torch.testing.assert_close(*gradients)


def test_wrong_values():
    with pytest.raises(ConfigError, match=r"model.depths=\[3\] has 1 entries, not 4"):
        configured("csn_r101", depths=[3])
    with pytest.raises(ConfigError, match=r"stem_temporal_kernel=2 must be odd"):
        configured("csn_r101", stem_temporal_kernel=2)
    with pytest.raises(ConfigError, match=r"factor='ir' is none of interaction_reduced, .*"):
        configured("csn_r101", factor="ir")
