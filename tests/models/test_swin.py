import pytest
import timm
import torch
from torchvision.models import video
from torchvision.models.video.swin_transformer import SwinTransformer3d

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error
from videoclf.errors import ConfigError
from videoclf.models import swin
from videoclf.models.blocks.window_attention import WindowAttention, separation

#: Two stages with windows that no side of the clips below is a multiple of.
TINY = {"width": 8, "depths": [2, 3], "num_heads": [2, 4], "window": [4, 3, 3]}


def clips(*, num_frames=12, pixels=44, batch=2):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, num_frames, pixels, pixels, generator=generator)


def shaken(network):
    """Move every parameter, so that no norm is the identity and the clip decides the logits."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network


def tiny(**changes):
    return configured("swin3d_small", **{**TINY, **changes})


def torchvision_network():
    """torchvision's network in the size of TINY."""
    torch.manual_seed(0)
    network = SwinTransformer3d(
        patch_size=[2, 4, 4],
        embed_dim=8,
        depths=[2, 3],
        num_heads=[2, 4],
        window_size=[4, 3, 3],
        num_classes=5,
    )
    return shaken(network.eval())


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("swin3d_t", 28_158_070, 43.882),
        ("swin3d_s", 49_816_678, 82.841),
        ("swin3d_b", 88_048_984, 140.667),
    ],
)
def test_published_counts_at_16_frames_of_224_pixels(name, parameters, macs):
    with torch.device("meta"):
        model = configured(name, num_classes=400)
    assert count(model) == parameters
    assert giga_macs(model, 16, 224) == pytest.approx(macs, abs=5e-4)


def test_contract():
    check_contract(tiny)


def test_layers_are_the_blocks_and_mergings_belong_to_them():
    model = configured("swin3d_small")
    assert len(model.layers()) == 6
    assert model.layers()[2].merging is not None
    outside = ("patch_embed", "patch_norm", "norm", "classifier")
    of_blocks = {id(p) for block in model.layers() for p in block.parameters()}
    for name, parameter in model.named_parameters():
        assert (id(parameter) in of_blocks) != name.startswith(outside)


def test_the_order_of_frames_counts():
    assert permutation_error(shaken(tiny()), clips(num_frames=8, pixels=32)) > 1e-3


@pytest.mark.parametrize("shape", [(12, 44, 44), (16, 48, 24), (7, 41, 30), (4, 44, 44)])
def test_torchvisions_weights_give_torchvisions_logits(shape):
    theirs = torchvision_network()
    ours = tiny().eval()
    ours.load_torchvision(theirs.state_dict())
    rgb = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs(rgb)
        torch.testing.assert_close(ours(rgb), expected, atol=1e-4, rtol=0)
    assert (expected[0] - expected[1]).abs().max() > 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swin3d_t", "swin3d_s", "swin3d_b"])
def test_torchvisions_full_networks(name):
    torch.manual_seed(0)
    theirs = getattr(video, name)(weights=None).eval()
    torch.nn.init.normal_(theirs.head.weight, std=theirs.num_features**-0.5)
    ours = configured(name, num_classes=400, seed=1).eval()
    ours.load_torchvision(theirs.state_dict())
    rgb = clips(num_frames=16, pixels=224, batch=1)
    with torch.no_grad():
        expected = theirs(rgb)
        torch.testing.assert_close(ours(rgb), expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.1


def test_pretrained_on_videos_keeps_its_own_classifier(monkeypatch):
    theirs = torchvision_network().state_dict()
    asked = []
    monkeypatch.setattr(swin, "published_weights", lambda name: asked.append(name) or theirs)
    model = tiny(pretrained="Swin3D_T_Weights.KINETICS400_V1")
    assert asked == ["Swin3D_T_Weights.KINETICS400_V1"]
    torch.testing.assert_close(model.patch_embed.weight, theirs["patch_embed.proj.weight"])
    assert not torch.equal(model.classifier.weight, theirs["head.weight"])
    with pytest.raises(ConfigError, match="not that of the torchvision network this VideoSwin"):
        tiny(pretrained="Swin3D_T_Weights.KINETICS400_V1", depths=[2, 2])


@pytest.fixture(scope="module")
def image_network():
    torch.manual_seed(0)
    network = timm.create_model(
        "swin_tiny_patch4_window7_224",
        img_size=48,
        window_size=3,
        embed_dim=8,
        depths=(2, 2),
        num_heads=(2, 4),
        num_classes=5,
    )
    return shaken(network.eval())


@pytest.mark.parametrize("initialization", ["repeat", "centre"])
def test_a_still_video_gives_what_the_image_gave(image_network, initialization):
    model = tiny(depths=[2, 2], initialization=initialization).eval()
    model.load_image_weights(image_network.state_dict())
    model.classifier.load_state_dict(image_network.head.fc.state_dict())
    image = clips(pixels=48)[:, :, 0]
    still = image[:, :, None].expand(-1, -1, 12, -1, -1)  # 6 steps, windows of 4: padded, shifted
    with torch.no_grad():
        expected = image_network(image)
        torch.testing.assert_close(model(still[:, :, :8]), expected, atol=1e-4, rtol=0)
        assert (model(still) - expected).abs().max() > 1e-3  # the padding is seen
    assert (expected[0] - expected[1]).abs().max() > 0.1


def test_the_biases_of_another_window_are_interpolated(image_network):
    model = tiny(depths=[2, 2], window=[2, 5, 5])
    model.load_image_weights(image_network.state_dict())
    table = model.layers()[0].attn.relative_position_bias_table.unflatten(0, (3, 9, 9))
    assert torch.equal(table[0], table[2])
    learned = image_network.layers[0].blocks[0].attn.relative_position_bias_table
    torch.testing.assert_close(table[0, 4, 4], learned.unflatten(0, (5, 5))[2, 2])  # distance 0


def test_image_weights_of_another_network_are_refused(image_network):
    with pytest.raises(ValueError, match=r"stages.1.2.norm1.weight is missing.*of a Swin of the"):
        tiny().load_image_weights(image_network.state_dict())


def test_shifted_windows_do_not_see_what_only_the_roll_brought_together():
    like = torch.zeros(())
    apart = separation((1, 1, 8), (1, 1, 4), (0, 0, 2), like=like)  # (2 windows, 4, 4)
    assert not apart[0].any()
    sees = apart[1] == 0
    assert sees.tolist() == [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2


def test_a_token_changes_its_window_only():
    torch.manual_seed(0)
    for shifted, frames, rows in ((False, [0, 1], [2, 3]), (True, [1, 2], [1, 2])):
        attention = shaken(WindowAttention(4, 1, window=(2, 2, 2), shifted=shifted))
        tokens = torch.randn(1, 4, 4, 4, 4)
        changed = tokens.clone()
        changed[0, 1, 2, 2] += 1
        with torch.no_grad():
            moved = ((attention(changed) - attention(tokens)).abs() > 1e-6).any(-1)[0]
        places = moved.nonzero()
        assert places[:, 0].unique().tolist() == frames
        assert places[:, 1].unique().tolist() == rows
        assert places[:, 2].unique().tolist() == rows


def test_a_shrunken_window_keeps_the_rows_of_distances():
    attention = WindowAttention(4, 1, window=(2, 3, 3), shifted=False)
    with torch.no_grad():
        attention.relative_position_bias_table.copy_(torch.arange(3 * 5 * 5)[:, None])
    own = attention._bias((2, 3, 3))[0].view(2, 3, 3, 2, 3, 3)
    shrunken = attention._bias((1, 2, 2))[0].view(1, 2, 2, 1, 2, 2)
    assert torch.equal(shrunken, own[:1, :2, :2, :1, :2, :2])
    assert own[1, 0, 0, 0, 2, 2] == 2 * 25 + 0 + 0  # one frame later, two rows and columns before


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 5, 70), (33, 16, 16)])
def test_any_clip_will_do(shape):
    model = configured("swin3d_small").eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, *shape)).isfinite().all()


def test_padding_and_shrinking_is_said_once(caplog):
    caplog.set_level("INFO", logger="videoclf")
    model = tiny(depths=[2], num_heads=[2], window=[5, 6, 6]).eval()  # sizes of no other test
    with torch.no_grad():
        for _ in range(2):
            model(clips(num_frames=6, pixels=32, batch=1))
    assert [record.getMessage() for record in caplog.records] == [
        "on 3 x 8 x 8 tokens, windows of 5 x 6 x 6 are 3 x 6 x 6, and tokens padded to 3 x 12 x 12"
    ]


def test_recomputed_blocks_give_the_same_gradients():
    gradients = []
    for checkpointed in (False, True):
        model = configured("swin3d_small", checkpoint_activations=checkpointed)
        model(clips(num_frames=8, pixels=32)).square().sum().backward()
        gradients.append(model.patch_embed.weight.grad)
    torch.testing.assert_close(*gradients)


def test_bfloat16():
    model = configured("swin3d_small").eval()
    rgb = clips(num_frames=16, pixels=64)
    with torch.no_grad():
        expected = model.features(rgb)
        with torch.autocast("cpu", torch.bfloat16):
            found = model.features(rgb)
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initialization": "new"}, "model.initialization='new' must be one of repeat, centre"),
        ({"num_heads": [2, 4]}, r"num_heads=\[2, 4\] must both have a number for each stage"),
        ({"num_heads": [2, 4, 7]}, "7 heads cannot share the width 128 of their stage"),
        ({"window": [4, 7]}, r"model.window=\[4, 7\] must be frames, rows and columns"),
        ({"pretrained": "swin_tiny"}, "is no model of timm .*; some that are: swin_"),
        ({"pretrained": "Swin3D_T_Weights.NONE"}, "Weights.NONE names no weights of torchvision"),
        ({"pretrained": "Swin3D_X_Weights.NONE"}, "Weights.NONE names no weights of torchvision"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        configured("swin3d_small", **changes)
