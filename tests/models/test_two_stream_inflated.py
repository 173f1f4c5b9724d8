import pytest
import torch
from torch import nn

from tests.models.contract import configured, count, randomize_norms
from videoclf.errors import ConfigError


def clips_of(*, num_frames=8, pixels=32):
    generator = torch.Generator().manual_seed(0)
    rgb = torch.randn(2, 3, num_frames, pixels, pixels, generator=generator)
    flow = torch.randn(2, 2, num_frames, pixels, pixels, generator=generator)
    return rgb, flow


def test_both_streams_learn():
    model = randomize_norms(configured("two_stream_inflated")).train()
    logits = model(*clips_of())
    assert logits.shape == (2, 5)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still
    with torch.no_grad():
        features = model.eval().features(*clips_of())
    assert features.shape == (2, model.classifier.in_features)


def test_its_streams_are_those_that_are_trained_apart():
    joined = configured("two_stream_inflated")
    apart = [configured("inflated"), configured("inflated_flow")]
    joined.spatial.load_state_dict(apart[0].cnn.state_dict())
    joined.temporal.load_state_dict(apart[1].cnn.state_dict())
    head = count(joined.classifier)
    assert count(joined) - head == sum(count(model.cnn) for model in apart)


def test_constant_flow_gives_the_2d_network():
    images = randomize_norms(configured("single_frame", seed=2)).eval()
    model = configured("inflated_flow", time_padding="replicate", temporal_strides={}).eval()
    model.load_image_weights(images.cnn.state_dict())
    field = torch.randn(2, 1, 1, 32, 32)
    with torch.no_grad():
        # equal channels: twice the mean over colours, against three times for grey images
        found = model.features(field.expand(-1, 2, 8, -1, -1) * 3 / 2)
        expected = images.features(field.expand(-1, 3, 8, -1, -1))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_flow_has_two_channels_and_enough_frames():
    model = configured("inflated_flow")
    with pytest.raises(ValueError, match=r"is \(B, 2, T, H, W\), not \(1, 3, 8, 32, 32\)"):
        model(torch.zeros(1, 3, 8, 32, 32))
    with pytest.raises(ValueError, match="raise sampler.num_frames to 8"):
        model(torch.zeros(1, 2, 4, 32, 32))
    with pytest.raises(ConfigError, match="shrink time by 8"):
        configured("two_stream_inflated", num_frames=4)
