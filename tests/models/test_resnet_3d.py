import pytest
import timm
import torch

from tests.models.contract import (
    check_contract,
    configured,
    count,
    giga_macs,
    permutation_error,
    randomize_norms,
)

NAMES = ("c2d_r50", "i3d_r50", "slow_r50")
TINY = {"stem_width": 8, "depths": [1, 2, 2, 1]}
PLACES = [["res3", 1], ["res4", 0]]


def tiny(name, **changes):
    return configured(name, **{**TINY, **changes})


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    check_contract(lambda: tiny(name))


@pytest.mark.parametrize("kind", ["gaussian", "concatenation"])
def test_contract_with_non_local_blocks(kind):
    check_contract(lambda: tiny("i3d_r50", non_local_places=PLACES, non_local_kind=kind))


def test_contract_of_the_small_one():
    check_contract(lambda: configured("resnet_3d_small"))


@pytest.mark.parametrize(
    ("name", "parameters", "macs_224", "macs_256"),
    [
        ("c2d_r50", 24_327_632, 19.493, 25.463),
        ("i3d_r50", 28_043_472, 28.408, 37.106),
        ("slow_r50", 32_454_096, 41.741, 54.521),
    ],
)
def test_parameters_and_macs_are_the_published(name, parameters, macs_224, macs_256):
    with torch.device("meta"):
        model = configured(name, num_classes=400)
    assert count(model) == parameters
    assert giga_macs(model, 8, 224) == pytest.approx(macs_224, abs=1e-3)
    assert giga_macs(model, 8, 256) == pytest.approx(macs_256, rel=5e-4)


def test_five_non_local_blocks_have_the_published_parameters():
    with torch.device("meta"):
        model = configured("i3d_r50_nl", num_classes=400)
        gaussian = configured("i3d_r50_nl", num_classes=400, non_local_kind="gaussian")
    assert count(model) == 28_043_472 + 2 * 526_592 + 3 * 2_101_760  # published: 35.4M
    assert round(count(gaussian) / 1e6, 1) == 31.7


def test_the_temporal_pool_of_c2d_saves_what_it_should():
    with torch.device("meta"):
        model = configured("c2d_r50", num_classes=400, temporal_pool=1)
    assert giga_macs(model, 8, 256) == pytest.approx(42.7, abs=0.05)


def trained_resnet26():
    torch.manual_seed(0)
    return randomize_norms(timm.create_model("resnet26", num_classes=0)).eval()


def test_c2d_with_image_weights_is_timms_resnet_on_each_frame():
    plain = trained_resnet26()
    model = configured("c2d_r50", depths=[2, 2, 2, 2], temporal_pool=1).eval()
    model.load_image_weights(plain.state_dict())
    rgb = torch.randn(2, 3, 3, 64, 48)
    with torch.no_grad():
        frames = torch.stack([plain(rgb[:, :, t]) for t in range(3)], dim=1)  # (B, T, D)
        torch.testing.assert_close(model.features(rgb), frames.mean(1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("inflation", ["repeat", "centre"])
def test_i3d_with_image_weights_equals_it_on_interior_frames(inflation):
    plain = trained_resnet26()
    model = configured("i3d_r50", depths=[2, 2, 2, 2]).eval()
    model.load_image_weights(plain.state_dict(), inflation=inflation)
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = plain.forward_features(image)
        maps = model.stem(image.unsqueeze(2).repeat(1, 1, 24, 1, 1))
        maps = model.pool(model.res2(maps))  # conv1 and res2 reach 4 frames: 2 after the pool
        maps = model.res5(model.res4(model.res3(maps)))  # one frame further each
    assert expected.std() > 0.1
    for frame in (5, 6):
        torch.testing.assert_close(maps[:, :, frame], expected, atol=1e-4, rtol=1e-4)


def test_image_weights_by_name(monkeypatch):
    plain = trained_resnet26()
    asked = []
    monkeypatch.setattr(
        "videoclf.models.resnet_3d.create_backbone",
        lambda name, **settings: asked.append((name, settings["pretrained"])) or plain,
    )
    model = configured("slow_r50", depths=[2, 2, 2, 2], image_weights="resnet26")
    assert asked == [("resnet26", True)]
    torch.testing.assert_close(
        model.res5.blocks[1].conv1.weight.sum(2), plain.layer4[1].conv1.weight
    )
    with pytest.raises(ValueError, match=r"the image weights lack .* names, such as res2.blocks.2"):
        configured("slow_r50", image_weights="resnet26")


def test_an_inserted_non_local_block_changes_nothing():
    trained = randomize_norms(tiny("slow_r50")).eval()
    model = tiny("slow_r50", non_local_places=PLACES, seed=1).eval()
    loaded = model.load_state_dict(trained.state_dict(), strict=False)
    assert not loaded.unexpected_keys
    assert all("non_local" in name for name in loaded.missing_keys)
    rgb = torch.randn(2, 3, 4, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(rgb), trained(rgb))
        torch.nn.init.ones_(model.res4.non_local["0"].norm.weight)
        assert (model(rgb) - trained(rgb)).abs().max() > 1e-5


def test_the_order_of_frames_matters():
    assert permutation_error(tiny("i3d_r50"), torch.randn(1, 3, 8, 32, 32)) > 1e-2
    frame_wise = tiny("c2d_r50", temporal_pool=1)
    assert permutation_error(frame_wise, torch.randn(1, 3, 8, 32, 32)) < 1e-5


def test_a_block_starts_as_its_shortcut():
    block = tiny("slow_r50").res3.blocks[1].eval()
    maps = torch.randn(1, 64, 2, 4, 4)
    assert torch.equal(block(maps), maps.relu())
    assert not torch.equal(tiny("slow_r50", zero_init_last_norm=False).res3.blocks[1](maps), maps)


def test_wrong_values():
    with pytest.raises(
        ValueError, match=r"temporal_pool=2, which needs clips of 2 frames, not 1; raise sampler"
    ):
        configured("c2d_r50", num_frames=1)
    with pytest.raises(ValueError, match=r"need 2 frames, not 1 \(shape \(1, 3, 1, 32, 32\)\)"):
        tiny("c2d_r50")(torch.zeros(1, 3, 1, 32, 32))
    with pytest.raises(ValueError, match=r"holds \['res4', 6\]; there are .*\[res4, 0..5\]"):
        configured("i3d_r50", non_local_places=[["res4", 6]])
    with pytest.raises(ValueError, match=r"holds \['res6', 0\]; there are \[res2, 0..2\]"):
        configured("i3d_r50", non_local_places=[["res6", 0]])
    with pytest.raises(ValueError, match=r"model.depths=\[3, 4\] needs one entry for each of"):
        configured("i3d_r50", depths=[3, 4])
    with pytest.raises(ValueError, match="temporal kernel of 2 has no middle: use an odd one"):
        tiny("i3d_r50", temporal_kernels=[[3], [2], [3], [1]])
