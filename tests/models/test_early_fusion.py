import pytest
import timm
import torch

from tests.models.contract import (
    check_contract,
    configured,
    count,
    permutation_error,
    randomize_norms,
)
from videoclf.models import early_fusion as module

#: of timm's smallest network, `test_resnet`
WIDTH = 96


def early_fusion(**changes):
    return configured("early_fusion", **{"backbone": "test_resnet", **changes})


@pytest.fixture(scope="module")
def flat():
    """The 2D network whose weights an early fusion starts from."""
    torch.manual_seed(3)
    return randomize_norms(timm.create_model("test_resnet", num_classes=0)).eval()


def test_contract():
    check_contract(lambda: early_fusion(dropout=0.1))


def test_only_the_first_convolution_grows(flat):
    assert count(early_fusion()) == count(flat) + 9 * 3 * 7 * 16 + WIDTH * 5 + 5


def test_the_order_of_frames_matters():
    assert permutation_error(early_fusion(), torch.randn(1, 3, 8, 32, 32)) > 1e-3


def test_an_event_later_is_another_event():
    rgb = torch.zeros(1, 3, 8, 32, 32)
    rgb[:, :, 2:4] = torch.randn(3, 2, 32, 32)
    model = early_fusion().eval()
    assert (model.features(rgb) - model.features(rgb.roll(2, dims=2))).abs().max() > 1e-2


def test_a_clip_without_motion_gives_the_2d_networks_features(flat):
    model = early_fusion().eval()
    model.load_image_weights(flat.state_dict())
    frame = torch.randn(2, 3, 32, 32)
    still = frame.unsqueeze(2).expand(-1, -1, 8, -1, -1)
    torch.testing.assert_close(model.features(still), flat(frame), atol=1e-4, rtol=1e-4)


def test_averaged_colours_give_every_channel_the_same_filters(flat):
    model = early_fusion(average_colours=True).eval()
    model.load_image_weights(flat.state_dict())
    first = next(w for w in model.cnn.parameters() if w.ndim == 4)
    assert first.shape[1] == 24
    torch.testing.assert_close(first, first[:, :1].expand_as(first))
    grey = torch.randn(1, 1, 32, 32).expand(1, 3, 32, 32)
    still = grey.unsqueeze(2).expand(-1, -1, 8, -1, -1)
    torch.testing.assert_close(model.features(still), flat(grey), atol=1e-4, rtol=1e-4)


def test_pretrained_loads_what_timm_publishes(flat, monkeypatch):
    create = module.create_backbone

    def offline(name, *, pretrained, **options):
        return flat if pretrained else create(name, pretrained=False, **options)

    monkeypatch.setattr(module, "create_backbone", offline)
    model = early_fusion(pretrained=True)
    weights = model.cnn.state_dict()
    for name, value in flat.state_dict().items():
        if weights[name].shape == value.shape:
            torch.testing.assert_close(weights[name], value)
        else:
            torch.testing.assert_close(weights[name].unflatten(1, (8, 3)).sum(1), value)


def test_transformers_take_part():
    with torch.device("meta"):
        model = early_fusion(backbone="vit_tiny_patch16_224")
        assert model(torch.zeros(1, 3, 8, 32, 32)).shape == (1, 5)


def test_wrong_shapes_and_weights(flat):
    model = early_fusion(num_frames=4)
    with pytest.raises(ValueError, match="built for clips of 4 frames, not 8"):
        model(torch.zeros(1, 3, 8, 32, 32))
    with pytest.raises(ValueError, match=r"model.backbone='resnet19' is no model of timm"):
        early_fusion(backbone="resnet19")
    weights = dict(flat.state_dict())
    weights["conv1.0.weight"] = torch.zeros(16, 3, 5, 5)
    with pytest.raises(ValueError, match=r"conv1.0.weight \(16, 3, 5, 5\) is not that of a first"):
        model.load_image_weights(weights)
    del weights["conv1.0.weight"]
    with pytest.raises(ValueError, match=r"(?s)not those of this backbone: .*Missing key.*conv1.0"):
        model.load_image_weights(weights)
