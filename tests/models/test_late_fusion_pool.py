import pytest
import torch

from tests.models.contract import check_contract, configured, count, permutation_error

#: of timm's smallest network, `test_resnet`
WIDTH = 96
POOLINGS = ("average", "max", "attention", "conv")


def late_fusion(**changes):
    return configured("late_fusion_pool", **{"backbone": "test_resnet", **changes})


@pytest.mark.parametrize("pooling", POOLINGS)
def test_contract(pooling):
    check_contract(lambda: late_fusion(pooling=pooling, hidden=[16, 12], dropout=0.1))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_forward_is_encode_then_fuse(pooling):
    model, rgb = late_fusion(pooling=pooling).eval(), torch.randn(2, 3, 6, 32, 32)
    features = model.encode_frames(rgb.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, 6))
    torch.testing.assert_close(model(rgb), model.fuse(features))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_only_the_convolution_knows_the_order_of_frames(pooling):
    error = permutation_error(
        late_fusion(pooling=pooling, hidden=[16]), torch.randn(2, 3, 8, 32, 32)
    )
    if pooling == "conv":
        assert error > 1e-3
    else:
        assert error < 1e-5


def test_average_and_max_are_theirs():
    features = torch.randn(2, 6, WIDTH)
    for pooling, expected in (("average", features.mean(1)), ("max", features.max(1).values)):
        torch.testing.assert_close(late_fusion(pooling=pooling).pool(features), expected)


def test_attention_is_a_mean_that_starts_anywhere_and_can_choose_a_frame():
    pool = late_fusion(pooling="attention").pool
    same = torch.randn(1, 1, WIDTH).expand(1, 6, WIDTH)
    torch.testing.assert_close(pool(same), same[:, 0])  # the weights sum to 1
    features = torch.randn(1, 6, WIDTH)
    with torch.no_grad():
        pool.score[2].weight.mul_(1e4)
    chosen = pool.score(features).argmax()
    torch.testing.assert_close(pool(features), features[:, chosen])


def test_parameters_are_those_of_the_formula():
    assert count(late_fusion()) == count(late_fusion().cnn) + WIDTH * 5 + 5
    assert count(late_fusion(pooling="attention", attention_width=32).pool) == WIDTH * 32 + 32 + 32
    assert count(late_fusion(pooling="conv", temporal_kernel=5).pool) == WIDTH * WIDTH * 5 + WIDTH


def test_clips_of_any_length_and_crop():
    model = late_fusion(pooling="conv").eval()
    assert model(torch.randn(1, 3, 1, 48, 40)).shape == (1, 5)


def test_a_transformer_is_built_for_the_crop():
    with torch.device("meta"):
        model = late_fusion(backbone="vit_tiny_patch16_224", image_size=64)
        assert model(torch.zeros(1, 3, 2, 64, 64)).shape == (1, 5)


def test_wrong_values():
    with pytest.raises(
        ValueError, match=r"model.pooling='mean' is none of average, max, attention"
    ):
        late_fusion(pooling="mean")
    with pytest.raises(ValueError, match=r"model.temporal_kernel=4 must be odd"):
        late_fusion(pooling="conv", temporal_kernel=4)
    with pytest.raises(ValueError, match=r"model.backbone='resnet19' is no model of timm"):
        late_fusion(backbone="resnet19")
    with pytest.raises(ValueError, match=r"a batch of clips is \(B, 3, T, H, W\), not \(1, 8, 3"):
        late_fusion()(torch.zeros(1, 8, 3, 32, 32))
