import copy

import pytest
import torch
from torch import nn

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error

TOYS = ("toy_late_fusion", "toy_early_fusion", "toy_cnn_3d")


def toy(name, **changes):
    return configured(name, **{"num_frames": 20, "image_size": 64, **changes})


@pytest.mark.parametrize("name", TOYS)
def test_contract(name):
    check_contract(lambda: toy(name), num_frames=20)


@pytest.mark.parametrize(
    ("name", "parameters", "mega_macs", "sizes"),
    [
        ("toy_late_fusion", 2_952, 39.8, ((12, 20, 64), (12, 20, 16), (24, 20, 16))),
        ("toy_early_fusion", 9_108, 27.2, ((12, 1, 64), (12, 1, 16), (24, 1, 16))),
        ("toy_cnn_3d", 8_784, 89.6, ((12, 20, 64), (12, 5, 16), (24, 5, 16))),
    ],
)
def test_the_table(name, parameters, mega_macs, sizes):
    with torch.device("meta"):
        model = toy(name)
        maps, found = torch.zeros(1, 3, 20, 64, 64), []
        for stage in model.stages:
            maps = stage(maps)
            found += [] if isinstance(stage, nn.ReLU) else [tuple(maps.shape[1:4])]
        assert model.features(torch.zeros(1, 3, 20, 64, 64)).shape == (1, 24)
    assert tuple(found) == sizes
    assert count(model) - count(model.classifier) == parameters
    # the table counts without the classifier, whose 120 are lost in the rounding
    assert round(giga_macs(model, 20, 64) * 1000, 1) == mega_macs


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("toy_late_fusion", ((1, 3, 3), (1, 6, 6), (1, 14, 14))),
        ("toy_early_fusion", ((20, 3, 3), (20, 6, 6), (20, 14, 14))),
        ("toy_cnn_3d", ((3, 3, 3), (6, 6, 6), (14, 14, 14))),
    ],
)
def test_receptive_fields(name, fields):
    stages = copy.deepcopy(toy(name).stages)
    stages[2] = nn.AvgPool3d(stages[2].kernel_size)  # so that each input of a pooling is felt
    for parameter in stages.parameters():
        nn.init.ones_(parameter)
    for depth, field in zip((1, 3, 4), fields, strict=True):
        clip = torch.ones(1, 3, 20, 64, 64, requires_grad=True)
        maps = stages[:depth](clip)
        centre = [size // 2 for size in maps.shape[2:]]
        maps[0, 0, centre[0], centre[1], centre[2]].backward()
        felt = clip.grad[0, 0].nonzero()
        assert tuple((felt.max(0).values - felt.min(0).values + 1).tolist()) == field


def test_early_fusion_is_a_2d_convolution_over_stacked_channels():
    model = toy("toy_early_fusion")
    wide = nn.Conv2d(60, 12, 3, padding=1)
    first = model.stages[0]
    wide.load_state_dict({"weight": first.weight.flatten(1, 2), "bias": first.bias})
    rgb = torch.randn(2, 3, 20, 16, 16)
    torch.testing.assert_close(first(rgb).squeeze(2), wide(rgb.flatten(1, 2)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", TOYS)
def test_only_late_fusion_is_blind_to_the_order_of_frames(name):
    error = permutation_error(toy(name), torch.randn(1, 3, 20, 32, 32))
    assert error < 1e-5 if name == "toy_late_fusion" else error > 1e-3


def test_shifting_an_event_changes_early_fusion_only():
    def shift_error(model, frames):
        rgb = torch.zeros(1, 3, frames, 32, 32)
        rgb[:, :, frames // 2] = torch.randn(3, 32, 32)
        with torch.no_grad():
            before, after = model.features(rgb), model.features(rgb.roll(4, dims=2))
        return float((after - before).abs().max() / before.abs().max())

    assert shift_error(toy("toy_cnn_3d", num_frames=40), 40) < 1e-5  # 4 is its temporal stride
    assert shift_error(toy("toy_early_fusion", num_frames=40), 40) > 1e-2


def test_wrong_values():
    with pytest.raises(
        ValueError, match=r"needs clips of 4 frames, not 3; raise sampler.num_frames"
    ):
        toy("toy_cnn_3d", num_frames=3)
    with pytest.raises(ValueError, match="temporal strides need 20 frames, not 8"):
        toy("toy_early_fusion")(torch.zeros(1, 3, 8, 32, 32))
    with pytest.raises(ValueError, match=r"model.widths=\[12\], .* must each be two long"):
        toy("toy_cnn_3d", widths=[12])
