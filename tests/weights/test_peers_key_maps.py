"""Every name of pytorchvideo, PySlowFast and MMAction2 becomes one of ours, and the right one.

Needs none of them: what they call their tensors stands in `peer_names`.
"""

import pytest
import torch

from tests.models.contract import configured
from tests.weights import peer_names
from videoclf.errors import CheckpointError
from videoclf.weights.key_maps import layouts_of

ALL = ("pytorchvideo", "pyslowfast", "mmaction")
DEPTHS = [2, 1, 2, 1]


def check(layout, model, pairs, own=None):
    """Name a model's tensors as the peer does, translate them back, and compare one by one."""
    own = peer_names.drawn(model) if own is None else own
    found = layouts_of(model)[layout](peer_names.named_as(pairs, own), model)
    assert sorted(found) == sorted(own)
    for name, value in own.items():
        assert torch.equal(found[name].reshape(value.shape), value), name


@pytest.mark.parametrize("layout", ALL)
@pytest.mark.parametrize("pool", [1, 2])
def test_resnet_3d(layout, pool):
    model = configured("resnet_3d_small", depths=DEPTHS, temporal_pool=pool, stem_temporal_kernel=1)
    check(layout, model, peer_names.resnet_3d(layout, model))


def test_non_local_blocks_of_pyslowfast():
    model = configured(
        "resnet_3d_small", depths=DEPTHS, non_local_places=[["res2", 1], ["res4", 0]]
    )
    check("pyslowfast", model, peer_names.resnet_3d("pyslowfast", model))


@pytest.mark.parametrize("layout", ALL)
def test_slowfast(layout):
    model = configured("slowfast_small", depths=DEPTHS)
    own = peer_names.drawn(model)
    theirs = dict(own)
    if layout == "mmaction":  # its head reads the fast pathway first
        slow, fast = own["classifier.weight"].split([512, 256], dim=1)
        theirs["classifier.weight"] = torch.cat([fast, slow], dim=1)
    pairs = peer_names.slowfast(layout, model)
    found = layouts_of(model)[layout](peer_names.named_as(pairs, theirs), model)
    assert sorted(found) == sorted(own)
    for name, value in own.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("layout", ALL)
def test_x3d(layout):
    model = configured("x3d_xs", depths=DEPTHS, head_width=32)
    check(layout, model, peer_names.x3d(layout, DEPTHS))


@pytest.mark.parametrize("layout", ["pyslowfast", "mmaction"])
def test_the_norm_behind_the_first_shortcut_of_an_x3d_is_folded_exactly(layout):
    model = configured("x3d_xs", depths=DEPTHS, head_width=32)
    norm = torch.nn.BatchNorm3d(24).eval()
    generator = torch.Generator().manual_seed(1)
    for value in norm.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=generator)
    own = peer_names.drawn(model)
    normed = {f"blocks.0.shortcut.1.{name}": value for name, value in norm.state_dict().items()}
    pairs = peer_names.x3d(layout, DEPTHS)
    found = layouts_of(model)[layout](peer_names.named_as(pairs, {**own, **normed}), model)
    model.load_state_dict(found)
    block = model.blocks[0].eval()
    maps = torch.randn(2, 24, 2, 4, 4)
    with torch.no_grad():
        folded = block(maps)
        model.load_state_dict(own)
        change = block.last_norm(block.change(maps))
        expected = (change + norm(block.shortcut[0](maps))).relu()
    torch.testing.assert_close(folded, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("layout", "version"),
    [("pytorchvideo", 1), ("pyslowfast", 1), ("pyslowfast", 2), ("mmaction", 2)],
)
def test_mvit(layout, version):
    model = configured("mvit_small", version=version)
    pairs = peer_names.mvit(layout, model)
    own = peer_names.drawn(model)
    theirs = peer_names.named_as(pairs, own)
    for name in theirs:
        if "pos_embed" in name or "cls_token" in name:  # kept as (1, N, D)
            theirs[name] = theirs[name].reshape(1, -1, theirs[name].shape[-1])
    found = layouts_of(model)[layout](theirs, model)
    assert sorted(found) == sorted(own)
    for name, value in own.items():
        assert torch.equal(found[name], value), name


def test_c3d():
    model = configured("c3d", widths=[2, 3, 4, 5, 6], hidden=[8, 7], num_frames=16, image_size=32)
    check("mmaction", model, peer_names.c3d(model))


def test_swin_and_its_tables_of_indices():
    model = configured("swin3d_small")
    own = peer_names.drawn(model)
    theirs = peer_names.named_as(peer_names.swin(model), own)
    table = {"backbone.layers.0.blocks.0.attn.relative_position_index": torch.zeros(4, 4)}
    found = layouts_of(model)["mmaction"]({**theirs, **table}, model)
    assert sorted(found) == sorted(own)
    assert all(torch.equal(found[name], value) for name, value in own.items())


@pytest.mark.parametrize("attention", ["divided", "joint", "space"])
def test_timesformer(attention):
    model = configured("timesformer_small", attention=attention)
    check("mmaction", model, peer_names.timesformer(model))


def test_videomae_and_its_computed_positions():
    model = configured("videomae_small")
    own = peer_names.drawn(model)
    theirs = peer_names.named_as(peer_names.videomae(model), own)
    positions = {"backbone.pos_embed": torch.zeros(1, 64, 96)}
    found = layouts_of(model)["mmaction"]({**theirs, **positions}, model)
    assert sorted(found) == sorted(own)
    assert all(torch.equal(found[name], value) for name, value in own.items())


def test_networks_that_would_load_and_compute_something_else_are_refused():
    model = configured("resnet_3d_small", stem_temporal_kernel=5)
    own = peer_names.drawn(model)
    i3d = peer_names.named_as(peer_names.resnet_3d("mmaction", model), own)
    with pytest.raises(
        CheckpointError, match=r"other scores: MMAction2's I3D strides over time .*"
    ):
        layouts_of(model)["mmaction"](i3d, model)
    model = configured("resnet_3d_small", stem_temporal_kernel=1, temporal_pool=2)
    pairs = peer_names.resnet_3d("mmaction", model)
    weights = peer_names.named_as(pairs, peer_names.drawn(model))
    images = {k: v[:, :, 0] if v.ndim == 5 else v for k, v in weights.items()}
    with pytest.raises(CheckpointError, match=r"C2D, whose first pooling has no padding; take .*"):
        layouts_of(model)["mmaction"](images, model)
    subsampled = {**weights, "backbone.layer2.0.non_local_block.phi.0.conv.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"projects what it has pooled; take a network .*"):
        layouts_of(model)["mmaction"](subsampled, model)


def test_tsn_becomes_a_network_of_frames():
    model = configured("resnet_3d_small", stem_temporal_kernel=1, temporal_kernels=[[1]] * 4)
    pairs = peer_names.resnet_3d("mmaction", model)
    own = peer_names.drawn(model)
    weights = peer_names.named_as(pairs, own)
    images = {k: v[:, :, 0] if v.ndim == 5 else v for k, v in weights.items()}
    found = layouts_of(model)["mmaction"](images, model)
    assert {name: value.shape for name, value in found.items()} == {
        name: value.shape for name, value in own.items()
    }


def plain_laterals(model):
    """Give a model's tensors MMAction2's names, its laterals without norms."""
    weights = peer_names.named_as(peer_names.slowfast("mmaction", model), peer_names.drawn(model))
    return {k: v for k, v in weights.items() if "lateral.bn" not in k}


def test_laterals_without_a_norm_need_twice_the_channels():
    model = configured("slowfast_small")
    with pytest.raises(CheckpointError, match=r"lateral_norm=False\); set model.lateral_ratio to"):
        layouts_of(model)["mmaction"](plain_laterals(model), model)


def test_laterals_without_a_norm_are_expressed_by_twice_the_channels():
    narrow = configured("slowfast_small").eval()
    wide = configured("slowfast_small", lateral_ratio=4).eval()
    found = layouts_of(wide)["mmaction"](plain_laterals(narrow), wide)
    wide.load_state_dict({**found, **counters(wide)})
    narrow.load_state_dict(
        {**peer_names.drawn(narrow), "classifier.weight": found["classifier.weight"]}
    )
    for lateral in narrow.laterals:  # MMAction2's: the convolution alone
        lateral.forward = lateral.conv.forward
    rgb = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        expected = narrow(rgb)
        scale = expected.abs().max()
        torch.testing.assert_close(wide(rgb) / scale, expected / scale, atol=1e-4, rtol=0)


def counters(model):
    return {k: v for k, v in model.state_dict().items() if k.endswith("num_batches_tracked")}
