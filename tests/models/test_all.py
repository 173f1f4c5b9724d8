"""What holds for every file of conf/model; large models cost nothing on the meta device."""

import inspect

import pytest
import torch
from torch import nn

from tests.models.contract import CONF, configured
from videoclf.errors import ConfigError

NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
#: Enough for the strides of all of them.
FRAMES, PIXELS = 32, 64
CHANNELS = {"rgb": 3, "flow": 2}
#: Fewest frames of the models that need more than one, where FRAMES and PIXELS are the others.
LEAST_FRAMES = {"i3d": 8, "inflated": 8, "r3d_18": 8, "s3d": 8, "slow_fusion": 8}


@pytest.fixture(autouse=True)
def meta():
    with torch.device("meta"):
        yield


def model_of(name, **changes):
    return configured(name, num_frames=FRAMES, image_size=PIXELS, **changes).eval()


def inputs_of(model, shape=(2, None, FRAMES, PIXELS, PIXELS)):
    """Zeros for each modality that a model takes; None stands for its channels."""
    wanted = inspect.signature(model.forward).parameters
    return [
        torch.zeros([CHANNELS[name] if side is None else side for side in shape]) for name in wanted
    ]


@pytest.mark.parametrize("name", NAMES)
def test_constructor_logits_features_and_classifier(name):
    model = model_of(name)
    arguments = inspect.signature(type(model)).parameters.values()
    assert all(argument.kind is argument.KEYWORD_ONLY for argument in arguments)
    assert all(argument.default is argument.empty for argument in arguments)
    with torch.no_grad():
        logits, features = (call(*inputs_of(model)) for call in (model, model.features))
    assert logits.shape in ((2, 5), (2, logits.shape[1], 5))
    assert isinstance(model.classifier, nn.Linear)
    assert features.shape == (2, model.classifier.in_features)
    assert model.classifier.out_features == 5


@pytest.mark.parametrize("name", NAMES)
def test_other_shapes_are_refused_with_what_to_do(name):
    model = model_of(name)
    for shape in (
        (2, None, FRAMES, PIXELS),
        (None, FRAMES, PIXELS, PIXELS),
        (2, FRAMES, None, PIXELS, PIXELS),
        (2, 1, FRAMES, PIXELS, PIXELS),
        (2, FRAMES, PIXELS, PIXELS, None),
    ):
        for call in (model, model.features):
            with pytest.raises(ValueError, match=r"\(B, \d, T, H, W\), not .*; permute its axes"):
                call(*inputs_of(model, shape))


@pytest.mark.parametrize("name", NAMES)
def test_one_frame_is_enough_or_refused_with_the_numbers(name):
    model = model_of(name)
    try:
        with torch.no_grad():
            model(*inputs_of(model, (1, None, 1, PIXELS, PIXELS)))
    except ValueError as error:
        said = str(error)
    else:
        return
    assert "frames, not 1 " in said
    assert "sampler.num_frames" in said
    # a model that takes as many frames as it was built for can be built for one
    if "was built for clips of" not in said and name != "toy_early_fusion":
        with pytest.raises(ConfigError, match="sampler.num_frames"):
            configured(name, num_frames=1, image_size=PIXELS)


@pytest.mark.parametrize("name", LEAST_FRAMES)
def test_the_least_number_of_frames_is_enough(name):
    least = LEAST_FRAMES[name]
    model = configured(name, num_frames=least, image_size=PIXELS)
    with torch.no_grad():
        assert model(torch.zeros(1, 3, least, PIXELS, PIXELS)).shape == (1, 5)
    with pytest.raises(ConfigError, match=f"{least - 1}"):
        configured(name, num_frames=least - 1, image_size=PIXELS)


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_that_does_not_exist(name):
    if "backbone" in inspect.signature(type(model_of(name))).parameters:
        with pytest.raises(ConfigError, match=r"model.backbone='resnet19' is no model of timm"):
            model_of(name, backbone="resnet19")
