import pytest
import torch

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error

SMALL = {"widths": [8, 12, 16, 16, 12], "hidden": [24, 16], "image_size": 64}
PAPER = {"num_classes": 487, "image_size": 170}


@pytest.mark.parametrize(
    ("name", "num_frames"), [("karpathy_slow", 10), ("karpathy_early", 8), ("karpathy_late", 16)]
)
def test_contract(name, num_frames):
    check_contract(
        lambda: configured(name, num_frames=num_frames, **SMALL),
        num_frames=num_frames,
        image_size=64,
    )


@pytest.mark.parametrize(
    ("name", "num_frames", "extents", "merged"),
    [
        ("karpathy_slow", 10, (4, 2, 2, 1, 1), 1),
        ("karpathy_early", 10, (10, 1, 1, 1, 1), 1),
        ("karpathy_late", 16, (1, 1, 1, 1, 1), 2),  # both towers meet in the first layer
    ],
)
def test_parameters_are_those_of_the_paper(name, num_frames, extents, merged):
    with torch.device("meta"):
        model = configured(name, num_frames=num_frames, **PAPER)
    widths, edges = (3, 96, 256, 384, 384, 256), (11, 5, 3, 3, 3)
    convolutions = sum(
        widths[i] * widths[i + 1] * edges[i] ** 2 * extents[i] + widths[i + 1] for i in range(5)
    )
    assert count(model.tower) == convolutions
    hidden = merged * 256 * 6 * 6 * 4096 + 4096 + 4096**2 + 4096
    assert count(model) == convolutions + hidden + 4096 * 487 + 487


def test_slow_fusion_has_four_two_and_one_responses_in_time():
    with torch.device("meta"):
        model = configured("karpathy_slow", num_frames=10, **PAPER)
        maps, sizes = torch.zeros(1, 3, 10, 170, 170), []
        for layer in model.tower:
            maps = layer(maps)
            if isinstance(layer, torch.nn.Conv3d):
                sizes.append((maps.shape[2], maps.shape[3]))
    assert sizes == [(4, 54), (2, 27), (1, 13), (1, 13), (1, 13)]
    assert maps.shape == (1, 256, 1, 6, 6)
    first = 4 * 54**2 * 96 * 3 * 4 * 121
    assert giga_macs(model, 10, 170) * 1e9 > first


def test_late_fusion_looks_at_the_first_and_the_last_frame_only():
    model = configured("karpathy_late", num_frames=16, **SMALL).eval()
    rgb = torch.randn(1, 3, 16, 64, 64)
    other = torch.randn(1, 3, 16, 64, 64)
    other[:, :, 0], other[:, :, 15] = rgb[:, :, 0], rgb[:, :, 15]
    torch.testing.assert_close(model(rgb), model(other))
    swapped = rgb.flip(2)
    assert (model(rgb) - model(swapped)).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["karpathy_slow", "karpathy_early"])
def test_the_order_of_frames_matters(name):
    assert permutation_error(configured(name, num_frames=10, **SMALL), clip(10)) > 1e-2


def clip(num_frames):
    return torch.randn(1, 3, num_frames, 64, 64)


def test_wrong_values():
    with pytest.raises(ValueError, match=r"convolution 1 sees 4 frames at once, and 3 of the 3"):
        configured("karpathy_slow", num_frames=3, **SMALL)
    with pytest.raises(ValueError, match=r"convolution 3 sees 2 frames at once, and 1 of the 6"):
        configured("karpathy_slow", num_frames=6, **SMALL)
    with pytest.raises(ValueError, match=r"model.frames=\[0, 8\] must be places in a clip of 8"):
        configured("karpathy_late", frames=[0, 8], **SMALL)
    with pytest.raises(ValueError, match=r"model.widths=\[8\] must each name 5 convolutions"):
        configured("karpathy_late", **{**SMALL, "widths": [8]})
    with pytest.raises(ValueError, match=r"crops of 24 pixels are too small for three poolings"):
        configured("karpathy_late", **{**SMALL, "image_size": 24})
    with pytest.raises(ValueError, match=r"built for crops of 64 x 64 pixels, not 32 x 32"):
        configured("karpathy_late", **SMALL)(torch.zeros(1, 3, 8, 32, 32))
