import pytest
import torch
from torch import nn

from tests.models.contract import configured, randomize_norms
from videoclf.errors import ConfigError
from videoclf.models.two_stream import average_of_streams


def clips_of(*, num_frames=8, pixels=32):
    generator = torch.Generator().manual_seed(0)
    rgb = torch.randn(2, 3, num_frames, pixels, pixels, generator=generator)
    flow = torch.randn(2, 2, num_frames, pixels, pixels, generator=generator)
    return rgb, flow


@pytest.mark.parametrize("fusion", ["average", "concatenation", "convolution"])
def test_both_streams_are_seen_and_learn(fusion):
    model = randomize_norms(configured("two_stream", fusion=fusion)).train()
    rgb, flow = clips_of()
    logits = model(rgb, flow)
    assert logits.shape == (2, 5)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still
    model.eval()
    with torch.no_grad():
        features = model.features(rgb, flow)
        assert features.shape == (2, model.classifier.in_features)
        before = model(rgb, flow)
        assert (model(rgb.flip(0), flow) - before).abs().max() > 1e-4
        assert (model(rgb, flow.flip(0)) - before).abs().max() > 1e-4


def test_average_is_that_of_the_streams_probabilities():
    torch.manual_seed(0)
    features, head = torch.randn(3, 8), nn.Linear(8, 4)
    found = average_of_streams(features, head).softmax(-1)
    first = (features[:, :4] @ head.weight[:, :4].T + head.bias).softmax(-1)
    second = (features[:, 4:] @ head.weight[:, 4:].T + head.bias).softmax(-1)
    torch.testing.assert_close(found, (first + second) / 2)


def test_the_spatial_stream_sees_the_middle_frame_or_all():
    rgb, flow = clips_of()
    other = rgb.clone()
    other[:, :, 0] += 1
    for spatial_frames, changes in (("middle", False), ("all", True)):
        model = configured("two_stream", spatial_frames=spatial_frames).eval()
        with torch.no_grad():
            assert bool((model(rgb, flow) != model(other, flow)).any()) is changes


def test_permuted_frames_do_not_matter_and_permuted_flow_does():
    model = randomize_norms(configured("two_stream", spatial_frames="all")).eval()
    rgb, flow = clips_of()
    with torch.no_grad():
        before = model(rgb, flow)
        torch.testing.assert_close(model(rgb.flip(2), flow), before, atol=1e-5, rtol=1e-5)
        assert (model(rgb, flow.flip(2)) - before).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"fusion": "sum"},
            "model.fusion='sum' must be one of average, concatenation, convolution",
        ),
        ({"spatial_frames": "first"}, "model.spatial_frames='first' must be one of middle, all"),
        ({"backbone": "resnet19"}, "model.backbone='resnet19' is no model of timm"),
    ],
)
def test_unknown_choices_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        configured("two_stream", **changes)
