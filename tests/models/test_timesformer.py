import pytest
import timm
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error
from videoclf.errors import ConfigError
from videoclf.models.blocks.positions import resize_in_space, resize_in_time
from videoclf.models.blocks.transformer import TransformerBlock


def clips(*, num_frames=8, pixels=32, batch=2):
    return torch.randn(
        batch, 3, num_frames, pixels, pixels, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize(
    ("attention", "parameters", "macs"),
    [
        ("divided", 121_566_352, 195.830),
        ("joint", 86_112_400, 179.563),
        ("space", 86_106_256, 140.505),
    ],
)
def test_published_counts_at_8_frames_of_224_pixels(attention, parameters, macs):
    with torch.device("meta"):
        model = configured(
            "timesformer_b", num_classes=400, num_frames=8, image_size=224, attention=attention
        )
    assert count(model) == parameters
    assert giga_macs(model, 8, 224) == pytest.approx(macs, rel=1e-4)


@pytest.mark.parametrize("attention", ["divided", "joint", "space"])
def test_contract(attention):
    def build():
        model = configured("timesformer_small", attention=attention)
        for name, parameter in model.named_parameters():
            if "temporal_fc" in name:  # starts at 0 and holds gradients back
                nn.init.normal_(parameter, std=0.1)
        return model

    check_contract(build)


def test_only_space_attention_is_blind_to_order():
    rgb = clips()
    errors = {}
    for attention in ("divided", "joint", "space"):
        model = configured("timesformer_small", attention=attention)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.2)
        errors[attention] = permutation_error(model, rgb)
    assert errors["space"] < 1e-5
    assert min(errors["divided"], errors["joint"]) > 3e-4


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_samples_skip_a_branch_as_with_timms_drop_path(rate, dtype):
    branch = TransformerBlock(8, 2, 4.0, rate).drop_path
    assert isinstance(branch, StochasticDepth)
    tokens = torch.randn(16, 5, 8).to(dtype)
    torch.manual_seed(0)
    expected, state = timm.layers.DropPath(rate)(tokens), torch.get_rng_state()
    torch.manual_seed(0)
    assert torch.equal(branch(tokens), expected)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(branch.eval()(tokens), tokens)


@pytest.fixture(scope="module")
def image_network():
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, num_classes=5, embed_dim=48, depth=2, num_heads=3
    ).eval()


def like(image_network, attention, num_frames):
    model = configured(
        "timesformer_small",
        attention=attention,
        num_frames=num_frames,
        image_size=32,
        patch_pixels=16,
        width=48,
        depth=2,
        num_heads=3,
        mlp_ratio=4.0,
    ).eval()
    model.load_image_weights(image_network.state_dict())
    model.classifier.load_state_dict(image_network.head.state_dict())
    return model


@pytest.mark.parametrize("attention", ["divided", "joint", "space"])
def test_a_vit_of_timm_gives_its_own_logits_on_one_frame(image_network, attention):
    model = like(image_network, attention, num_frames=1)
    if attention == "divided":  # block 0 is drawn at random; as the others start
        nn.init.zeros_(model.blocks[0].temporal_fc.weight)
    rgb = clips(num_frames=1)
    with torch.no_grad():
        torch.testing.assert_close(model(rgb), image_network(rgb[:, :, 0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("attention", ["divided", "space"])
def test_a_still_clip_gives_the_image_networks_logits(image_network, attention):
    model = like(image_network, attention, num_frames=4)
    if attention == "divided":
        nn.init.zeros_(model.blocks[0].temporal_fc.weight)
    frame = clips(num_frames=1)
    with torch.no_grad():
        found = model(frame.expand(-1, -1, 4, -1, -1))
        torch.testing.assert_close(found, image_network(frame[:, :, 0]), atol=1e-4, rtol=0)


def test_attention_over_time_starts_as_that_over_space(image_network):
    model = like(image_network, "divided", num_frames=4)
    for block in model.blocks:
        assert torch.equal(block.temporal_attn.qkv.weight, block.attn.qkv.weight)
    assert not model.blocks[1].temporal_fc.weight.any()


def test_other_clips_interpolate_the_positions():
    model = configured("timesformer_small", num_frames=8, image_size=32).eval()
    with torch.no_grad():
        for num_frames, height, width in ((8, 48, 48), (12, 32, 32), (5, 24, 40)):
            assert model(torch.randn(1, 3, num_frames, height, width)).shape == (1, 5)


def test_interpolated_positions_keep_constants_and_ramps():
    ramp = torch.arange(4.0).repeat(4)[None, :, None]  # the column of a 4 x 4 square
    wide = resize_in_space(ramp, (4, 8)).unflatten(1, (4, 8))[0, 0, :, 0]
    torch.testing.assert_close(wide[2:6], torch.tensor([0.75, 1.25, 1.75, 2.25]), atol=0.1, rtol=0)
    assert resize_in_space(ramp, (4, 4)) is ramp
    times = torch.arange(4.0)[None, :, None]
    torch.testing.assert_close(
        resize_in_time(times, 8)[0, :, 0],
        torch.tensor([0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]),
    )


def test_recomputed_blocks_give_the_same_gradients():
    gradients = []
    for checkpointed in (False, True):
        model = configured("timesformer_small", checkpoint_activations=checkpointed)
        model(clips()).square().sum().backward()
        gradients.append(model.patch_embed.weight.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention": "time"}, "model.attention='time' must be one of divided, joint, space"),
        ({"width": 90}, "model.width=90 cannot be shared by model.num_heads=4"),
        ({"patch_pixels": 5}, "crops of 32 pixels do not divide into patches of"),
        ({"drop_path": 1.0}, r"model.drop_path=1.0 must be in \[0, 1\)"),
        ({"pretrained": "vit_base"}, "model.pretrained='vit_base' is no model of timm"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        configured("timesformer_small", **changes)


def test_weights_of_another_vit_are_refused(image_network):
    with pytest.raises(
        ValueError, match="load those of a ViT of the same width, depth and patches"
    ):
        configured("timesformer_small").load_image_weights(image_network.state_dict())


@pytest.mark.parametrize("attention", ["divided", "joint", "space"])
def test_the_blocks_give_the_features_of_timms_on_one_frame(image_network, attention):
    model = like(image_network, attention, num_frames=1)
    for block in model.blocks:  # also block 0, which is drawn at random
        if attention == "divided":
            nn.init.zeros_(block.temporal_fc.weight)
    rgb = clips(num_frames=1)
    with torch.no_grad():
        expected = image_network.forward_features(rgb[:, :, 0])  # (B, 1 + N, D)
        torch.testing.assert_close(model.tokens(rgb), expected, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip(
        "transformers", reason="needs transformers: pip install -e '.[transformers]'"
    )


TRANSFORMERS_NAMES = {
    "divided": "divided_space_time",
    "joint": "joint_space_time",
    "space": "space_only",
}


@pytest.mark.parametrize("attention", TRANSFORMERS_NAMES)
def test_the_weights_of_transformers_give_its_logits(transformers, attention):
    config = transformers.TimesformerConfig(
        image_size=32,
        patch_size=8,
        num_frames=4,
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=192,
        attention_type=TRANSFORMERS_NAMES[attention],
        num_labels=5,
    )
    torch.manual_seed(0)
    theirs = transformers.TimesformerForVideoClassification(config).eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.1)
    ours = configured("timesformer_small", attention=attention, num_frames=4, depth=3).eval()
    ours.load_transformers(theirs.state_dict())
    rgb = clips(num_frames=4)
    with torch.no_grad():
        expected = theirs(rgb.transpose(1, 2)).logits
        if attention == "space":  # it classifies single frames, and leaves their mean to others
            found = torch.cat([ours(frame[:, :, None]) for clip in rgb for frame in frames(clip)])
        else:
            found = ours(rgb)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def frames(clip):
    """Yield the frames of (C, T, H, W) as (1, C, H, W)."""
    return clip.transpose(0, 1).unsqueeze(1)


def test_the_weights_of_another_network_are_refused(image_network):
    with pytest.raises(ValueError, match="the weight cls_token is .*; load those of a ViT of the"):
        configured("timesformer_small").load_transformers(image_network.state_dict())
