import pytest
import torch

from tests.models.contract import check_contract, configured, count, permutation_error

#: of timm's smallest network, `test_resnet`
WIDTH = 96


def late_fusion(**changes):
    return configured("late_fusion_fc", **{"backbone": "test_resnet", "hidden": [16], **changes})


def test_contract():
    check_contract(lambda: late_fusion(dropout=0.1))


@pytest.mark.parametrize(
    ("backbone", "shape"),
    [
        ("resnet10t", (512, 1, 1)),
        ("mobilenetv3_small_050", (1024, 1, 1)),
        ("vit_tiny_patch16_224", (192, 2, 2)),  # 4 tokens without the class token
        ("swin_tiny_patch4_window7_224", (768, 1, 1)),  # timm's maps have the channels last
    ],
)
def test_any_backbone_gives_maps(backbone, shape):
    with torch.device("meta"):
        model = late_fusion(backbone=backbone, map_channels=None, num_frames=2)
        assert model.encode_frames(torch.zeros(3, 3, 32, 32)).shape == (3, *shape)
        assert model(torch.zeros(1, 3, 2, 32, 32)).shape == (1, 5)


def test_forward_is_encode_then_fuse():
    model, rgb = late_fusion().eval(), torch.randn(2, 3, 8, 32, 32)
    maps = model.encode_frames(rgb.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, 8))
    torch.testing.assert_close(model(rgb), model.fuse(maps))


def test_parameters_are_those_of_the_formula():
    model = late_fusion(map_channels=8, hidden=[16, 12])
    perceptron = 8 * 8 * 16 + 16 + 16 * 12 + 12 + 12 * 5 + 5  # T * 8 * 1 * 1 inputs
    assert count(model) == count(model.cnn) + WIDTH * 8 + 8 + perceptron
    whole = late_fusion(map_channels=None, hidden=[], image_size=64)
    assert whole.classifier.in_features == 8 * WIDTH * 2 * 2


def test_the_order_of_frames_and_the_place_in_a_frame_matter():
    model = late_fusion(image_size=64)
    assert permutation_error(model, torch.randn(1, 3, 8, 64, 64)) > 1e-3
    rgb = torch.zeros(1, 3, 8, 64, 64)
    rgb[..., :32, :32] = torch.randn(3, 8, 32, 32)
    moved = rgb.roll((32, 32), dims=(3, 4))
    assert (model(rgb) - model(moved)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 3, 6, 32, 32), "built for clips of 8 frames, not 6"),
        ((1, 3, 8, 48, 48), "built for crops of 32 x 32 pixels, not 48 x 48"),
        ((1, 8, 3, 32, 32), r"a batch of clips is \(B, 3, T, H, W\), not \(1, 8, 3, 32, 32\)"),
        ((3, 8, 32, 32), r"not \(3, 8, 32, 32\); permute its axes"),
    ],
)
def test_wrong_shapes(shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        late_fusion()(torch.zeros(shape))


def test_a_backbone_that_is_none_or_cannot():
    with pytest.raises(
        ValueError, match=r"model.backbone='resnet19' is no model of timm.*resnet18"
    ):
        late_fusion(backbone="resnet19")
    with pytest.raises(ValueError, match=r"'inception_v3' cannot take frames of 32 x 32 pixels"):
        late_fusion(backbone="inception_v3")
    with pytest.raises(ValueError, match=r"'coat_tiny' cannot be built"):
        late_fusion(backbone="coat_tiny")
