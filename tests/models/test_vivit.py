import pytest
import timm
import torch
from torch import nn

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error
from videoclf.errors import ConfigError
from videoclf.models.vivit import FACTORISATIONS, FactorisedHeadsAttention


def clips(*, num_frames=8, pixels=32, batch=2):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, num_frames, pixels, pixels, generator=generator)


def trained(**changes):
    """A model whose classifier does not start at 0."""
    model = configured("vivit_small", **changes)
    nn.init.normal_(model.classifier.weight, std=0.1)
    return model


@pytest.mark.parametrize(
    ("factorisation", "parameters", "macs"),
    [
        ("joint", 88_954_000, 451.525),
        ("factorised_encoder", 115_062_928, 283.342),
        ("factorised_attention", 117_319_312, 371.094),
        ("factorised_heads", 88_952_464, 276.182),
    ],
)
def test_published_counts_at_32_frames_of_224_pixels(factorisation, parameters, macs):
    with torch.device("meta"):
        model = configured(
            "vivit_b", num_classes=400, num_frames=32, image_size=224, factorisation=factorisation
        )
    assert count(model) == parameters
    assert giga_macs(model, 32, 224) == pytest.approx(macs, rel=1e-4)


@pytest.mark.parametrize("factorisation", FACTORISATIONS)
def test_contract(factorisation):
    check_contract(lambda: trained(factorisation=factorisation))


@pytest.mark.parametrize("factorisation", FACTORISATIONS)
def test_the_order_of_frames_counts(factorisation):
    assert permutation_error(trained(factorisation=factorisation), clips()) > 1e-3


def test_a_new_model_gives_every_class_the_same_logit():
    assert not configured("vivit_small")(clips()).any()


def test_half_of_the_heads_see_a_frame_and_half_a_place():
    torch.manual_seed(0)
    attention = FactorisedHeadsAttention(8, 2).eval()
    attention.proj = nn.Identity()
    tokens = torch.randn(1, 3 * 4, 8)  # 3 steps of 4 places
    changed = tokens.clone()
    changed[0, 1 * 4 + 2] += 1  # step 1, place 2
    with torch.no_grad():
        moved = (attention(changed, 3) - attention(tokens, 3)).abs().unflatten(1, (3, 4))[0] > 1e-6
    over_space, over_time = moved[..., :4].any(-1), moved[..., 4:].any(-1)
    assert over_space.nonzero()[:, 0].unique().tolist() == [1]
    assert over_time.nonzero()[:, 1].unique().tolist() == [2]
    assert over_space[1].all()
    assert over_time[:, 2].all()


@pytest.fixture(scope="module")
def image_network():
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, num_classes=5, embed_dim=48, depth=2, num_heads=4
    ).eval()


def like(image_network, factorisation, **changes):
    shape = {
        "num_frames": 4,
        "image_size": 32,
        "patch_pixels": 16,
        "width": 48,
        "depth": 2,
        "num_heads": 4,
        "mlp_ratio": 4.0,
    }
    model = configured("vivit_small", factorisation=factorisation, **{**shape, **changes}).eval()
    model.load_image_weights(image_network.state_dict())
    model.classifier.load_state_dict(image_network.head.state_dict())
    return model


def test_tubelets_start_as_the_frame_in_their_middle(image_network):
    model = like(image_network, "joint", num_frames=2)
    rgb = clips(num_frames=2)
    with torch.no_grad():
        # one step in time: the image network on frame 1 of 0..1
        torch.testing.assert_close(model(rgb), image_network(rgb[:, :, 1]), atol=1e-4, rtol=0)


def test_tubelets_that_start_repeated_see_the_mean_of_their_frames(image_network):
    model = like(image_network, "joint", num_frames=2, initialization="repeat")
    filters = image_network.patch_embed.proj.weight
    assert torch.equal(model.patch_embed.weight, torch.stack([filters / 2, filters / 2], dim=2))
    rgb = clips(num_frames=2)
    with torch.no_grad():
        torch.testing.assert_close(model(rgb), image_network(rgb.mean(2)), atol=1e-4, rtol=0)


def test_the_spatial_encoder_is_the_image_network_at_every_step(image_network):
    model = like(image_network, "factorised_encoder")
    rgb = clips(num_frames=4)
    seen = []
    model.norm.register_forward_hook(lambda _, __, output: seen.append(output[:, 0]))
    with torch.no_grad():
        model(rgb)
        expected = image_network.forward_features(rgb[:, :, 1::2].transpose(1, 2).flatten(0, 1))
    torch.testing.assert_close(seen[0], expected[:, 0], atol=1e-4, rtol=0)


def test_attention_over_time_starts_at_nothing(image_network):
    model = like(image_network, "factorised_attention")
    for block in model.blocks:
        assert not block.temporal_attn.proj.weight.any()


@pytest.mark.parametrize("factorisation", FACTORISATIONS)
def test_other_clips_interpolate_the_positions(factorisation):
    model = configured("vivit_small", factorisation=factorisation).eval()
    with torch.no_grad():
        for num_frames, height, width in ((8, 48, 48), (12, 32, 32), (6, 24, 40)):
            assert model(torch.randn(1, 3, num_frames, height, width)).shape == (1, 5)


def test_positions_of_the_same_clip_are_the_learned_ones():
    model = configured("vivit_small", factorisation="joint", num_frames=8, image_size=32)
    assert torch.equal(model._positions(4, (4, 4)).flatten(0, 1), model.pos_embed[0])


def test_recomputed_blocks_give_the_same_gradients():
    gradients = []
    for checkpointed in (False, True):
        model = trained(checkpoint_activations=checkpointed)
        model(clips()).square().sum().backward()
        gradients.append(model.patch_embed.weight.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"factorisation": "none"}, "model.factorisation='none' must be one of joint, factorised"),
        ({"initialization": "mean"}, "initialization='mean' must be one of centre, repeat"),
        ({"num_heads": 3, "factorisation": "factorised_heads"}, "num_heads=3 must be even"),
        ({"patch_pixels": 5}, "crops of 32 pixels do not divide into patches of"),
        ({"num_frames": 1}, "model.tubelet_frames=2 long, which needs clips of 2 frames, not 1"),
        ({"pretrained": "vit_base"}, "model.pretrained='vit_base' is no model of timm"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        configured("vivit_small", **changes)


def test_weights_of_another_vit_are_refused(image_network):
    with pytest.raises(
        ValueError, match="load those of a ViT of the same width, depth and patches"
    ):
        configured("vivit_small").load_image_weights(image_network.state_dict())


def test_the_blocks_give_the_features_of_timms_on_one_step(image_network):
    model = like(image_network, "joint", num_frames=2)
    rgb = clips(num_frames=2)
    with torch.no_grad():
        expected = image_network.forward_features(rgb[:, :, 1])  # (B, 1 + N, D)
        torch.testing.assert_close(model.tokens(rgb), expected, atol=1e-5, rtol=0)


def test_the_weights_of_transformers_give_its_logits():
    transformers = pytest.importorskip(
        "transformers", reason="needs transformers: pip install -e '.[transformers]'"
    )
    config = transformers.VivitConfig(
        image_size=32,
        num_frames=8,
        tubelet_size=[2, 8, 8],
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=192,
        hidden_act="gelu",
        num_labels=5,
    )
    torch.manual_seed(0)
    theirs = transformers.VivitForVideoClassification(config).eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.1)
    ours = configured("vivit_small", factorisation="joint", depth=3).eval()
    ours.load_transformers(theirs.state_dict())
    rgb = clips()
    with torch.no_grad():
        expected = theirs(rgb.transpose(1, 2)).logits
        torch.testing.assert_close(ours(rgb), expected, atol=1e-4, rtol=0)
    assert expected.abs().max() > 0.1
