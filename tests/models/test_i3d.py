import pytest
import torch
from torch.nn import functional as F

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error
from videoclf.models.i3d import pad_same

TINY = {"width_multiplier": 0.0625, "dropout": 0.0}


def test_contract():
    check_contract(lambda: configured("i3d", **TINY, num_frames=16), num_frames=16, image_size=48)


def test_parameters_and_macs_are_the_published():
    with torch.device("meta"):
        model = configured("i3d", num_classes=400, num_frames=64)
    assert count(model) == 12_697_264
    assert giga_macs(model, 64, 224) == pytest.approx(111.153, rel=1e-4)


def test_sizes_are_the_published():
    with torch.device("meta"):
        model = configured("i3d", num_frames=64)
        sizes = {}
        for name in ("conv_1", "conv_2c", "mixed.3c", "mixed.4f", "mixed.5c"):
            model.get_submodule(name).register_forward_hook(
                lambda _, __, maps, name=name: sizes.update({name: tuple(maps.shape[1:])})
            )
        model(torch.zeros(1, 3, 64, 224, 224))
    assert sizes == {
        "conv_1": (64, 32, 112, 112),
        "conv_2c": (192, 32, 56, 56),
        "mixed.3c": (480, 32, 28, 28),
        "mixed.4f": (832, 16, 14, 14),
        "mixed.5c": (1024, 8, 7, 7),
    }


def test_same_padding_is_that_of_tensorflow():
    padded = pad_same(torch.ones(1, 1, 64, 224, 225), (7, 7, 7), (2, 2, 2))
    assert padded.shape == (1, 1, 69, 229, 231)
    assert [int(side) for side in padded[0, 0, 40, 40, :3]] == [0, 0, 0]  # 225: 3 before, 3 behind
    assert [int(side) for side in padded[0, 0, 40, :4, 40]] == [0, 0, 1, 1]  # 224: 2 and 3
    assert [int(side) for side in padded[0, 0, 40, -4:, 40]] == [1, 0, 0, 0]


def test_features_average_over_pairs_of_frames_as_the_published_head():
    model = configured("i3d", **TINY, num_frames=32).eval()
    rgb = torch.randn(2, 3, 32, 32, 32)
    maps = []
    model.mixed["5c"].register_forward_hook(lambda _, __, out: maps.append(out))
    with torch.no_grad():
        logits = model(rgb)
        pairs = F.avg_pool3d(maps[0], (2, 1, 1), stride=1).mean((3, 4)).mT  # (B, T', D)
        torch.testing.assert_close(model.classifier(pairs).mean(1), logits)


def test_recomputed_modules_give_the_same_gradients():
    rgb = torch.randn(2, 3, 8, 32, 32)
    gradients = []
    for recomputed in (False, True):
        model = configured("i3d", **TINY, checkpoint_activations=recomputed)
        model(rgb).square().sum().backward()
        gradients.append(model.conv_1.conv.weight.grad)
    torch.testing.assert_close(*gradients)


def test_the_order_of_frames_matters():
    model = configured("i3d", **TINY)
    assert permutation_error(model, torch.randn(1, 3, 8, 32, 32)) > 1e-2


def test_too_few_frames():
    with pytest.raises(ValueError, match="shrink time by 8, which needs clips of 8 frames, not 7"):
        configured("i3d", **TINY, num_frames=7)
    with pytest.raises(ValueError, match="strides need 8 frames, not 4"):
        configured("i3d", **TINY)(torch.zeros(1, 3, 4, 32, 32))
