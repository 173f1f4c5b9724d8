import pytest
import timm
import torch

from tests.models.contract import check_contract, configured
from videoclf.models.single_frame import SingleFrame


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return single_frame().eval()


def single_frame(backbone="resnet10t", num_classes=5):
    return SingleFrame(
        num_classes=num_classes, image_size=32, backbone=backbone, pretrained=False, dropout=0.0
    )


def test_contract():
    check_contract(lambda: configured("single_frame"))


def test_it_speaks_once_a_frame(model):
    logits = model(torch.randn(2, 3, 4, 32, 32))
    assert logits.shape == (2, 4, 5)


def test_forward_is_encode_then_fuse(model):
    rgb = torch.randn(2, 3, 4, 32, 32)
    frames = rgb.transpose(1, 2).flatten(0, 1)
    expected = model.fuse(model.encode_frames(frames).unflatten(0, (2, 4)))
    torch.testing.assert_close(model(rgb), expected)


def test_each_frame_is_classified_alone(model):
    rgb = torch.randn(1, 3, 6, 32, 32)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(model(rgb[:, :, order]), model(rgb)[:, order], atol=1e-5, rtol=1e-5)


def test_it_is_the_2d_network_of_timm():
    model = single_frame("resnet18", num_classes=7)
    plain = timm.create_model("resnet18", num_classes=7)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == sum(parameter.numel() for parameter in plain.parameters())
    # torchvision's resnet18 of 1000 classes has 11,689,512
    assert count == 11_689_512 - 993 * 513


def test_an_unknown_backbone_names_some_that_exist():
    with pytest.raises(ValueError, match=r"backbone='resnet19' is no model of timm.*resnet18"):
        single_frame("resnet19")
