import pytest
import torch
from torchvision.models import video

from tests.models.contract import (
    check_contract,
    configured,
    count,
    giga_macs,
    permutation_error,
    randomize_norms,
)
from videoclf.models import s3d
from videoclf.models.blocks.initialization import initialize_for_relu


def test_contract():
    check_contract(lambda: configured("s3d"))


def test_parameters_and_macs_are_the_published():
    with torch.device("meta"):
        model = configured("s3d", num_classes=400, num_frames=16, image_size=224)
    assert count(model) == 8_320_048
    assert giga_macs(model, 16, 224) == pytest.approx(17.979, abs=5e-4)


def test_torchvisions_weights_give_torchvisions_logits():
    torch.manual_seed(0)
    theirs = randomize_norms(video.s3d(weights=None)).eval()
    initialize_for_relu(theirs, "fan_in")  # so that the clip, not the biases, decides
    ours = configured("s3d", num_classes=400, num_frames=21, seed=1).eval()
    ours.load_torchvision(theirs.state_dict())
    # the least that theirs takes is 13 x 209 x 209; of 21 frames its window of 2 slides
    rgb = torch.randn(1, 3, 21, 209, 209)
    with torch.no_grad():
        expected = theirs(rgb)
        torch.testing.assert_close(ours(rgb), expected, atol=1e-4, rtol=0)
        assert (ours(rgb[..., :32, :32]) - expected).abs().max() > 0.1


def test_pretrained_keeps_its_own_classifier(monkeypatch):
    theirs = video.s3d(weights=None).state_dict()
    monkeypatch.setattr(s3d, "published_weights", lambda name: theirs)
    model = configured("s3d", pretrained=True)
    torch.testing.assert_close(
        model.layers.conv1.spatial.conv.weight, theirs["features.0.0.0.weight"]
    )
    with pytest.raises(ValueError, match="load it with with_classifier=False"):
        model.load_torchvision(theirs)


def test_the_order_of_frames_matters():
    assert permutation_error(configured("s3d"), torch.randn(1, 3, 8, 32, 32)) > 1e-3


def test_wrong_shapes():
    with pytest.raises(ValueError, match="S3D shrinks time by 8, which needs clips of 8 frames"):
        configured("s3d", num_frames=4)
    with pytest.raises(ValueError, match="needs crops of 32 pixels a side, not 24 x 40"):
        configured("s3d")(torch.zeros(1, 3, 8, 24, 40))
