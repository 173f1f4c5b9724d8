import pytest
import torch

from tests.models.contract import configured, count
from videoclf.models.temporal_stream import spread_over_fields


def flow_of(*, batch=2, num_frames=8, pixels=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 2, num_frames, pixels, pixels, generator=generator)


def test_logits_features_and_parameters():
    model = configured("temporal_stream", num_frames=10).eval()
    flow = flow_of(num_frames=10)
    with torch.no_grad():
        logits, features = model(flow), model.features(flow)
        torch.testing.assert_close(model.classifier(features), logits)
    assert logits.shape == (2, 5)
    assert features.shape == (2, model.classifier.in_features)
    # beside the network for one RGB frame: 2 L instead of 3 channels in the first convolution
    single = configured("single_frame")
    assert count(model) - count(single) == (20 - 3) * 24 * 3 * 3


def test_the_order_of_fields_counts():
    model = configured("temporal_stream").eval()
    flow = flow_of()
    with torch.no_grad():
        assert (model(flow) - model(flow.flip(2))).abs().max() > 1e-3


def test_image_weights_are_averaged_over_colours_and_repeated():
    torch.manual_seed(0)
    images = configured("single_frame", seed=3)
    model = configured("temporal_stream", num_frames=4)
    model.load_image_weights(images.cnn.state_dict())
    first, wide = images.cnn.conv1[0].weight, model.cnn.conv1[0].weight
    assert wide.shape == (24, 8, 3, 3)
    for channel in range(8):
        torch.testing.assert_close(wide[:, channel], first.mean(1))
    torch.testing.assert_close(model.cnn.layer1[0].conv1.weight, images.cnn.layer1[0].conv1.weight)


def test_spread_keeps_the_response_to_equal_channels():
    weight = torch.randn(4, 3, 3, 3)
    spread = spread_over_fields(weight, num_frames=5)
    assert spread.shape == (4, 10, 3, 3)
    torch.testing.assert_close(spread.sum(1), weight.mean(1) * 10)


def test_weights_of_another_network_are_refused():
    model = configured("temporal_stream")
    other = configured("single_frame", backbone="resnet18")
    with pytest.raises(ValueError, match="weight"):
        model.load_image_weights(other.cnn.state_dict())


def test_clips_of_another_shape_are_refused():
    model = configured("temporal_stream", num_frames=8)
    with pytest.raises(ValueError, match=r"is \(B, 2, T, H, W\), not \(2, 3, 8, 32, 32\)"):
        model(torch.zeros(2, 3, 8, 32, 32))
    with pytest.raises(ValueError, match="built for clips of 8 frames, not 6"):
        model(torch.zeros(2, 2, 6, 32, 32))
