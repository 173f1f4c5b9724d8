import math

import pytest
import torch
from torchvision.models import video
from torchvision.models.video.mvit import MSBlockConfig, MViT

from tests.models.contract import check_contract, configured, count, giga_macs, permutation_error
from videoclf.errors import ConfigError
from videoclf.models import mvit

#: A net that is built in a moment: two widenings, and grids that do not halve evenly.
TINY = {"width": 8, "depth": 4, "widening_blocks": [1, 3], "key_stride": 4}
VERSIONS = {1: "mvit_v1_b", 2: "mvit_v2_s"}


def clips(*, num_frames=6, pixels=40, batch=2):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 3, num_frames, pixels, pixels, generator=generator)


def shaken(network):
    """Move every parameter, so that no norm is the identity and the clip decides the logits."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network


def torchvision_network(version, *, num_frames=6, pixels=40):
    """torchvision's network in the size of TINY."""
    blocks, stride_kv = [], 4
    for number in range(4):
        stride_q = 2 if number in (1, 3) else 1
        stride_kv = max(1, stride_kv // stride_q)
        widened = 2 ** sum(block <= number for block in (1, 3))  # of version 2; 1 lags in the MLP
        before = 2 ** sum(block < number for block in (1, 3))
        after = 2 ** sum(block <= number + 1 for block in (1, 3))
        pools = version == 2 or stride_q > 1
        blocks.append(
            MSBlockConfig(
                num_heads=widened,
                input_channels=8 * (before if version == 2 else widened),
                output_channels=8 * (widened if version == 2 else after),
                kernel_q=[3, 3, 3] if pools else [],
                kernel_kv=[3, 3, 3],
                stride_q=[1, stride_q, stride_q] if pools else [],
                stride_kv=[1, stride_kv, stride_kv],
            )
        )
    torch.manual_seed(0)
    return shaken(
        MViT(
            spatial_size=(pixels, pixels),
            temporal_size=num_frames,
            block_setting=blocks,
            residual_pool=version == 2,
            residual_with_cls_embed=False,
            rel_pos_embed=version == 2,
            proj_after_attn=version == 2,
            num_classes=5,
        ).eval()
    )


def tiny(version, *, num_frames=6, image_size=40, **changes):
    return configured(
        VERSIONS[version], num_frames=num_frames, image_size=image_size, **{**TINY, **changes}
    )


@pytest.mark.parametrize(
    ("name", "num_frames", "parameters", "macs"),
    [
        ("mvit_v2_s", 16, 34_537_744, 64.224),
        ("mvit_v2_b", 32, 51_230_128, 224.473),
        ("mvit_v1_b", 16, 36_610_672, 70.599),
    ],
)
def test_published_counts_at_224_pixels(name, num_frames, parameters, macs):
    with torch.device("meta"):
        model = configured(name, num_classes=400, num_frames=num_frames, image_size=224)
    assert count(model) == parameters
    assert giga_macs(model, num_frames, 224) == pytest.approx(macs, abs=5e-4)


@pytest.mark.parametrize("version", VERSIONS)
def test_contract(version):
    # of the last block's queries only the class token's is read, which has no place
    last = [f"blocks.3.attn.rel_pos_{axis}" for axis in "hwt"] if version == 2 else []
    check_contract(
        lambda: tiny(version, num_frames=8, image_size=32, drop_path=0.0),
        idle=[*last, "blocks.3.attn.pool_q.conv.weight"],
    )


def test_layers_are_the_blocks():
    model = configured("mvit_small")
    assert model.layers() == tuple(model.blocks)
    assert len(model.layers()) == 6


@pytest.mark.parametrize("version", VERSIONS)
def test_the_order_of_frames_counts(version):
    model = shaken(tiny(version, num_frames=8, image_size=32))
    assert permutation_error(model, clips(num_frames=8, pixels=32)) > 1e-3


@pytest.mark.parametrize("version", VERSIONS)
def test_torchvisions_weights_give_torchvisions_logits(version):
    theirs = torchvision_network(version)
    ours = tiny(version).eval()
    ours.load_torchvision(theirs.state_dict())
    rgb = clips()
    with torch.no_grad():
        expected = theirs(rgb.clone())
        torch.testing.assert_close(ours(rgb), expected, atol=1e-4, rtol=0)
    assert (expected[0] - expected[1]).abs().max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_torchvisions_full_networks(version):
    torch.manual_seed(0)
    theirs = getattr(video, VERSIONS[version])(weights=None).eval()
    torch.nn.init.normal_(theirs.head[1].weight, std=768**-0.5)
    ours = configured(VERSIONS[version], num_classes=400, num_frames=16, image_size=224, seed=1)
    ours.load_torchvision(theirs.state_dict())
    rgb = clips(num_frames=16, pixels=224, batch=1)
    with torch.no_grad():
        expected = theirs(rgb.clone())
        torch.testing.assert_close(ours.eval()(rgb), expected, atol=1e-4, rtol=0)
    assert expected.std() > 0.5


@pytest.mark.parametrize("version", VERSIONS)
def test_torchvisions_weights_fit_clips_of_another_size(version):
    """Loaded for other clips, or given other clips later: the positions are the same."""
    theirs = torchvision_network(version).state_dict()
    larger = tiny(version, num_frames=10, image_size=64).eval()
    same = tiny(version).eval()
    for model in (larger, same):
        model.load_torchvision(theirs)
    rgb = clips(num_frames=10, pixels=64)
    with torch.no_grad():
        torch.testing.assert_close(larger(rgb), same(rgb), atol=1e-4, rtol=0)


def test_pretrained_keeps_its_own_classifier(monkeypatch):
    theirs = torchvision_network(2).state_dict()
    asked = []
    monkeypatch.setattr(mvit, "published_weights", lambda name: asked.append(name) or theirs)
    model = tiny(2, pretrained=True)
    assert asked == ["MViT_V2_S_Weights.KINETICS400_V1"]
    torch.testing.assert_close(model.patch_embed.weight, theirs["conv_proj.weight"])
    assert not torch.equal(model.classifier.weight, theirs["head.1.weight"])
    with pytest.raises(ConfigError, match="not that of the torchvision network this MViT follows"):
        tiny(2, pretrained=True, depth=5)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shape", [(1, 40, 40), (9, 24, 56), (6, 8, 4)])
def test_other_clips_interpolate_the_positions(version, shape):
    model = tiny(version).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, *shape)).isfinite().all()


def test_interpolation_is_said_once(caplog):
    caplog.set_level("INFO", logger="videoclf")
    model = tiny(2, num_frames=14, image_size=52).eval()  # a size of no other test
    with torch.no_grad():
        for _ in range(2):
            model(clips(num_frames=14, pixels=52, batch=1))
            model(clips(num_frames=18, pixels=28, batch=1))
    assert [record.getMessage() for record in caplog.records] == [
        "relative positions of tokens, learned for 7 x 13 x 13, are interpolated to 9 x 7 x 7"
    ]


def test_positions_change_where_a_query_looks():
    """Of values that tell frames apart, R^t alone chooses the frame before."""
    attention = tiny(2, width=8, key_stride=1).blocks[0].attn.eval()
    frames, rows, columns = grid = (3, 10, 10)
    with torch.no_grad():
        queries = torch.zeros(1, 1, 1 + math.prod(grid), 8)
        queries[..., 0] = 1
        for table in (attention.rel_pos_h, attention.rel_pos_w, attention.rel_pos_t):
            table.zero_()
        attention.rel_pos_t[frames - 1 + 1, 0] = 50  # the key lies one step earlier
        scores = attention._position_scores(queries, grid)[0, 0]  # (1 + N, 1 + M)
    assert scores.shape == (301, 301)
    assert not scores[0].any()
    assert not scores[:, 0].any()
    best = scores[1:, 1:].unflatten(1, grid).unflatten(0, grid)  # (t, h, w, s, y, x)
    assert (best[1, :, :, 0] == 50).all()
    assert (best[2, :, :, 1] == 50).all()
    assert best.count_nonzero() == 2 * (rows * columns) ** 2


def test_recomputed_blocks_give_the_same_gradients():
    gradients = []
    for checkpointed in (False, True):
        model = configured("mvit_small", checkpoint_activations=checkpointed)
        model(clips(num_frames=8, pixels=32)).square().sum().backward()
        gradients.append(model.patch_embed.weight.grad)
    torch.testing.assert_close(*gradients)


def test_bfloat16():
    model = configured("mvit_small").eval()
    rgb = clips(num_frames=8, pixels=32)
    with torch.no_grad():
        expected = model(rgb)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(rgb)
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, "model.version=3 must be 1 or 2"),
        ({"num_heads": 3}, "model.width=32 cannot be shared by model.num_heads=3; give a multiple"),
        ({"widening_blocks": [1, 6]}, r"widening_blocks=\[1, 6\] must ascend from 1 to at most 5"),
        ({"widening_blocks": [0]}, "must ascend from 1 to at most 5, the last of model.depth=6"),
        ({"widening_blocks": [3, 1]}, "must ascend"),
        ({"key_stride": 0}, "model.key_stride=0 must be at least 1"),
        ({"drop_path": 1.0}, r"model.drop_path=1.0 must be in \[0, 1\)"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        configured("mvit_small", **changes)
