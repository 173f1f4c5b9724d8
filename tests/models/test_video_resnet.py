from urllib.error import URLError

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
from videoclf.models import video_resnet
from videoclf.models.video_resnet import ResidualBlock

NAMES = ("r3d_18", "mc3_18", "r2plus1d_18")
TINY = {"widths": [4, 8, 8, 12], "blocks": [1, 2, 1, 1]}


def torchvision_network(name):
    """torchvision's network with weights of some size, so that its logits are too."""
    torch.manual_seed(0)
    network = randomize_norms(getattr(video, name)(weights=None)).eval()
    torch.nn.init.normal_(network.fc.weight, std=512**-0.5)
    return network


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    check_contract(lambda: configured(name, dropout=0.1, **TINY))


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("r3d_18", 33_371_472, 40.697),
        ("mc3_18", 11_695_440, 43.343),
        ("r2plus1d_18", 31_505_325, 40.519),
    ],
)
def test_parameters_and_macs_are_the_published(name, parameters, macs):
    with torch.device("meta"):
        model = configured(name, num_classes=400, num_frames=16, image_size=112)
    assert count(model) == parameters
    assert giga_macs(model, 16, 112) == pytest.approx(macs, abs=5e-4)


@pytest.mark.parametrize("name", NAMES)
def test_torchvisions_weights_give_torchvisions_logits(name):
    theirs = torchvision_network(name)
    ours = configured(name, num_classes=400, seed=1).eval()
    ours.load_torchvision(theirs.state_dict())
    rgb = torch.randn(2, 3, 9, 40, 56)
    with torch.no_grad():
        expected = theirs(rgb)
        torch.testing.assert_close(ours(rgb), expected, atol=1e-4, rtol=0)
    assert (expected[0] - expected[1]).abs().max() > 0.1  # the clip, not the biases, decides


def test_pretrained_keeps_its_own_classifier(monkeypatch):
    theirs = video.mc3_18(weights=None).state_dict()
    asked = []
    monkeypatch.setattr(
        video_resnet, "published_weights", lambda name: asked.append(name) or theirs
    )
    model = configured("mc3_18", pretrained=True)
    assert asked == ["MC3_18_Weights.KINETICS400_V1"]
    torch.testing.assert_close(model.stem.conv.weight, theirs["stem.0.weight"])
    assert model.classifier.out_features == 5
    with pytest.raises(
        ValueError, match=r"(?s)classifier.weight.*load it with with_classifier=False"
    ):
        model.load_torchvision(theirs)


def test_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch):
    def without_network(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", without_network)
    with pytest.raises(
        ValueError,
        match=r"needs torchvision's R3D_18_Weights.KINETICS400_V1, .*no route to host.*"
        r"or set model.pretrained=false",
    ):
        configured("r3d_18", pretrained=True)


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="not that of the torchvision network this VideoResNet"):
        configured("r3d_18", **TINY).load_torchvision(video.mc3_18(weights=None).state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_zero_init_makes_blocks_the_identity(name):
    model = configured(name, zero_init_last_norm=True, **TINY).eval()
    block = next(m for m in model.stages[1] if isinstance(m, ResidualBlock) and not m.shortcut)
    maps = torch.rand(1, 8, 4, 8, 8)
    torch.testing.assert_close(block(maps), maps)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_frames_matters(name):
    assert permutation_error(configured(name, **TINY), torch.randn(1, 3, 8, 32, 32)) > 1e-3


def test_mixed_keeps_time_and_the_others_shrink_it():
    rgb = torch.zeros(1, 3, 16, 32, 32, device="meta")
    for name, frames in zip(NAMES, (2, 16, 2), strict=True):
        with torch.device("meta"):
            model = configured(name, **TINY)
            assert model.stages(model.stem(rgb)).shape == (1, 12, frames, 2, 2)


def test_wrong_values():
    with pytest.raises(ValueError, match=r"model.conv='4d' is none of 3d, mixed, 2plus1d"):
        configured("r3d_18", conv="4d")
    with pytest.raises(
        ValueError, match=r"model.conv=3d shrink time by 8, which needs clips of 8 frames, not 4"
    ):
        configured("r3d_18", num_frames=4)
    with pytest.raises(ValueError, match=r"model.blocks=\[2, 2\] must each be 4 long"):
        configured("r3d_18", blocks=[2, 2])
    with pytest.raises(ValueError, match="temporal strides need 8 frames, not 4"):
        configured("r3d_18", **TINY)(torch.zeros(1, 3, 4, 32, 32))
