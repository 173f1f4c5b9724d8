import pytest
import torch
from torch import nn

from tests.models.contract import check_contract, configured, count, giga_macs
from videoclf.errors import ConfigError
from videoclf.models.videomae import grid_positions, sinusoid_positions

#: parameters and GMACs at 16x224x224, 400 classes: counted from the authors' modeling_finetune.py
PUBLISHED = {
    "videomae_s": (22_033_936, 56.878),
    "videomae_b": (86_534_800, 180.345),
    "videomae_l": (304_270_736, 596.833),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_operations_are_the_published_ones(name):
    parameters, gmacs = PUBLISHED[name]
    with torch.device("meta"):
        model = configured(name, num_classes=400, num_frames=16, image_size=224)
        assert count(model) == parameters
        assert giga_macs(model, 16, 224) == pytest.approx(gmacs, rel=1e-4)


def test_contract():
    check_contract(lambda: configured("videomae_small"))


def test_layers_are_the_blocks():
    model = configured("videomae_small")
    assert model.layers() == tuple(model.encoder.blocks)


def test_positions_are_sines_and_cosines_of_the_place():
    positions = sinusoid_positions(5, 6)
    assert positions.shape == (1, 5, 6)
    torch.testing.assert_close(positions[0, 0], torch.tensor([0.0, 1, 0, 1, 0, 1]))
    rate = 10000 ** (-2 / 6)
    expected = torch.tensor([3.0, 3 * rate]).sin()
    torch.testing.assert_close(positions[0, 3, 0:4:2], expected)
    torch.testing.assert_close(positions[0, 3, 1], torch.tensor(3.0).cos())


def test_positions_of_a_grid_name_step_row_and_column():
    positions = grid_positions((2, 3, 4), 16).reshape(2, 3, 4, 16)  # 8 channels of time, 4, 4
    assert torch.equal(positions[..., :8], positions[:, :1, :1, :8].expand(2, 3, 4, 8))
    assert torch.equal(positions[..., 8:12], positions[:1, :, :1, 8:12].expand(2, 3, 4, 4))
    assert torch.equal(positions[0, 0, :, 12:], sinusoid_positions(4, 4)[0])
    assert len(positions.reshape(24, 16).unique(dim=0)) == 24


def test_keys_have_no_bias():
    """A bias on queries moves the output; so does one on values; keys have none to move."""
    model = configured("videomae_small")
    names = {name.rpartition("attn.")[2] for name in model.state_dict() if "attn." in name}
    assert names == {"qkv.weight", "q_bias", "v_bias", "proj.weight", "proj.bias"}


def test_nothing_fixed_is_stored():
    assert not [name for name in configured("videomae_small").state_dict() if "positions" in name]


def test_other_clips_interpolate_the_positions():
    model = configured("videomae_small").eval()
    with torch.no_grad():
        for num_frames, height, width in ((8, 48, 48), (12, 32, 32), (6, 24, 40)):
            assert model(torch.randn(1, 3, num_frames, height, width)).shape == (1, 5)
    built = model.encoder.grid
    assert torch.equal(model.encoder.positions_for(built), model.encoder.positions)


def test_visible_tokens_alone_go_through_the_encoder():
    """Each token keeps its own place: with no blocks, some of them are some of all."""
    encoder = configured("videomae_small").encoder
    encoder.blocks = nn.ModuleList()
    rgb = torch.randn(2, 3, 8, 32, 32)
    visible = torch.tensor([[0, 3, 17], [2, 5, 63]])
    some, every = encoder(rgb, visible), encoder(rgb)
    torch.testing.assert_close(some, torch.stack([every[n, v] for n, v in enumerate(visible)]))


def test_recomputed_blocks_give_the_same_gradients():
    rgb, gradients = torch.randn(1, 3, 4, 16, 16), []
    for checkpointed in (False, True):
        model = configured("videomae_small", checkpoint_activations=checkpointed)
        model(rgb).square().sum().backward()
        gradients.append(model.encoder.patch_embed.weight.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((7, 32, 32), "clips of 7 frames do not divide .* sampler.num_frames to 6 or 8"),
        ((8, 32, 36), "crops of 36 pixels do not divide .* transform.crop_pixels to 32 or 40"),
        ((1, 32, 32), "need 2 frames, not 1 .* raise sampler.num_frames to 2"),
    ],
)
def test_clips_that_do_not_divide_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        configured("videomae_small")(torch.zeros(1, 3, *shape))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_pixels": 5}, "crops of 32 pixels .* model.patch_pixels=5; set .* to 30 or 35"),
        ({"num_frames": 7}, "model.tubelet_frames=2; set sampler.num_frames to 6 or 8"),
        ({"num_frames": 1}, "model.tubelet_frames=2 long, which needs clips of 2 frames, not 1"),
        ({"num_heads": 5}, "model.width=96 cannot be shared by model.num_heads=5"),
        ({"positions": "plane"}, "model.positions='plane' must be one of line, grid"),
        ({"drop_path": 1.0}, "model.drop_path=1.0 must be in"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        configured("videomae_small", **changes)
