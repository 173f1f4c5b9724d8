import pytest
import torch

from tests.models.contract import check_contract, configured, count, permutation_error
from videoclf.errors import ConfigError
from videoclf.models.blocks.rotary_positions import axis_channels, grid_rotation, rotate

#: What distinguishes the published sizes; the rest is conf/model/vjepa2_l.yaml.
SIZES = {
    "l": {},
    "h": {"width": 1280, "depth": 32},
    "g": {"width": 1408, "depth": 40, "num_heads": 22, "pooler_heads": 22, "mlp_ratio": 48 / 11},
}


def clips(*, num_frames=8, height=32, width=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, num_frames, height, width, generator=generator)


def test_contract():
    check_contract(lambda: configured("vjepa2_small"))


@pytest.mark.parametrize("size", SIZES)
def test_parameters_are_those_of_transformers(size):
    transformers = pytest.importorskip(
        "transformers", reason="needs transformers: pip install -e '.[transformers]'"
    )
    with torch.device("meta"):
        ours = configured("vjepa2_l", num_classes=174, num_frames=64, image_size=256, **SIZES[size])
        theirs = transformers.VJEPA2ForVideoClassification(
            transformers.VJEPA2Config(
                hidden_size=ours.encoder.patch_embed.out_channels,
                num_hidden_layers=len(ours.encoder.blocks),
                num_attention_heads=ours.encoder.blocks[0].attn.num_heads,
                mlp_ratio=SIZES[size].get("mlp_ratio", 4),
                num_labels=174,
            )
        )
    assert count(ours) == count(theirs) - count(theirs.vjepa2.predictor)
    # "300M", "600M" and "1B" of the encoders, Assran et al. 2025, table 1 of the repository
    assert round(count(ours.encoder) / 1e8) == {"l": 3, "h": 6, "g": 10}[size]


def test_layers_are_the_blocks_of_the_encoder_and_of_the_pooler():
    model = configured("vjepa2_small")
    assert model.layers() == (*model.encoder.blocks, *model.pooler.blocks)
    assert len(model.layers()) == 5


def test_the_order_of_frames_and_the_places_count():
    model = configured("vjepa2_small").eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)  # as drawn, all tokens attend to all alike
    rgb = clips()
    with torch.no_grad():
        before = model.tokens(rgb).unflatten(1, (4, 4, 4))  # (B, steps, rows, columns, D)
        for axis, size in ((2, 2), (3, 8), (4, 8)):  # one tubelet on, the last one first
            moved = model.tokens(torch.roll(rgb, size, dims=axis)).unflatten(1, (4, 4, 4))
            off = (moved - before.roll(1, dims=axis - 1)).abs().max()
            assert off > 1e-2  # without positions tokens would move along, and be the same
    assert permutation_error(model, rgb) > 1e-5


def test_angles_by_hand():
    """Of 16 channels 4 each are the step's, the row's and the column's; 4 are left."""
    assert [axis_channels(width) for width in (16, 64, 80)] == [4, 20, 26]
    cos, sin = grid_rotation((2, 3, 5), 16)
    assert cos.shape == sin.shape == (30, 16)
    angles = torch.atan2(sin, cos).reshape(2, 3, 5, 16)
    slow = 1 / 10000**0.5  # of two frequencies the second, the row of them twice
    expected = [1, slow, 1, slow, 2, 2 * slow, 2, 2 * slow, 3, 3 * slow, 3, 3 * slow, 0, 0, 0, 0]
    torch.testing.assert_close(angles[1, 2, 3], torch.tensor(expected))


def test_a_pair_of_channels_is_turned_each_at_its_own_rate():
    heads = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    angles = torch.tensor([[0.1, 0.2, 0.1, 0.2]])
    turned = rotate(heads, angles.cos(), angles.sin())[0, 0, 0]
    c1, c2, s1, s2 = *angles[0, :2].cos(), *angles[0, :2].sin()
    torch.testing.assert_close(
        turned, torch.stack([c1 - 2 * s1, 2 * c2 + s2, 3 * c1 - 4 * s1, 4 * c2 + 3 * s2])
    )


def test_what_is_not_turned_stays_bit_for_bit():
    heads = torch.randn(1, 2, 30, 16)
    turned = rotate(heads, *grid_rotation((2, 3, 5), 16))
    assert torch.equal(turned[..., 12:], heads[..., 12:])
    assert torch.equal(turned[:, :, 0], heads[:, :, 0])  # the first token stands at 0
    assert not torch.equal(turned[:, :, 1:, :12], heads[:, :, 1:, :12])


def test_other_clips_than_it_was_built_for():
    model = configured("vjepa2_small").eval()
    with torch.no_grad():
        assert model.tokens(clips(num_frames=4, height=48, width=16)).shape == (2, 2 * 6 * 2, 96)
        assert model(clips(num_frames=12, height=24, width=40)).shape == (2, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": 7}, "sampler.num_frames to 6 or 8"),
        ({"num_frames": 1}, "which needs clips of 2 frames, not 1"),
        ({"image_size": 36}, "do not divide into patches of model.patch_pixels=8"),
        ({"num_heads": 5}, "model.width=96 cannot be shared by model.num_heads=5"),
        ({"num_heads": 32}, "is 3 a head; rotary positions need an even number, 6 at least"),
        ({"pooler_heads": 7}, "cannot be shared by model.pooler_heads=7; give a divisor"),
        ({"drop_path": 1.0}, "must be in"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        configured("vjepa2_small", **changes)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"num_frames": 5}, "clips of 5 frames do not divide into tubelets"),
        ({"width": 36}, "crops of 36 pixels do not divide into patches"),
    ],
)
def test_clips_that_do_not_divide_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        configured("vjepa2_small")(clips(**shape))
