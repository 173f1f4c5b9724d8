import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from tests.models.contract import count
from videoclf.models.blocks.non_local import KINDS, NonLocalBlock


def awake(*, subsample=False, **settings):
    """A block whose last norm is not 0 and whose weights are of some size."""
    torch.manual_seed(0)
    block = NonLocalBlock(channels=8, subsample=subsample, **settings).eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block


def listed(maps):
    return maps.flatten(2).transpose(1, 2)


def finish(block, gathered, maps):
    y = gathered.transpose(1, 2).reshape(len(maps), -1, *maps.shape[2:])
    return maps + block.norm(block.output(y))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("subsample", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_an_inserted_block_is_the_identity(kind, subsample, training):
    block = NonLocalBlock(channels=8, kind=kind, subsample=subsample).train(training)
    maps = torch.randn(2, 8, 3, 4, 5)
    assert torch.equal(block(maps), maps)


@pytest.mark.parametrize(
    ("channels", "side", "parameters", "macs"),
    [(1024, 14, 2_101_760, 1.185), (512, 28, 526_592, 2.286)],
)
def test_parameters_and_macs_are_the_published(channels, side, parameters, macs):
    with torch.device("meta"):
        block = NonLocalBlock(channels=channels, kind="embedded_gaussian", subsample=True)
        maps = torch.zeros(1, channels, 4, side, side)
    assert count(block) == parameters
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(maps)
    assert counter.get_total_flops() / 2e9 == pytest.approx(macs, abs=5e-4)


def test_the_embedded_gaussian_is_one_head_of_attention_over_positions():
    block = awake(kind="embedded_gaussian")
    maps = torch.randn(2, 8, 3, 4, 5)
    query, key, value = (listed(layer(maps)) for layer in (block.theta, block.phi, block.g))
    attention = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(block(maps), finish(block, attention, maps), atol=1e-5, rtol=1e-5)
    written_out = (query @ key.mT / 4**0.5).softmax(-1) @ value
    torch.testing.assert_close(block(maps), finish(block, written_out, maps), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["gaussian", "dot_product", "concatenation"])
@pytest.mark.parametrize("subsample", [False, True])
def test_the_other_kinds_are_their_equations(kind, subsample):
    block = awake(kind=kind, subsample=subsample)
    maps = torch.randn(1, 8, 2, 4, 6)
    others = F.max_pool3d(maps, (1, 2, 2)) if subsample else maps
    theta, phi, g = (
        listed(layer(seen))
        for layer, seen in ((block.theta, maps), (block.phi, others), (block.g, others))
    )
    y = torch.zeros(1, theta.shape[1], 4)
    for i in range(theta.shape[1]):
        if kind == "gaussian":
            f = (phi[0] @ theta[0, i]).exp()
            weights = f / f.sum()
        elif kind == "dot_product":
            weights = phi[0] @ theta[0, i] / phi.shape[1]
        else:
            pair = torch.cat([theta[0, i].expand_as(phi[0]), phi[0]], dim=1)
            w = torch.cat([block.weigh_theta.weight[0], block.weigh_phi.weight[0]])
            weights = (pair @ w).relu() / phi.shape[1]
        y[0, i] = weights @ g[0]
    torch.testing.assert_close(block(maps), finish(block, y, maps), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_position_hears_of_every_other(kind):
    block = awake(kind=kind).double()
    maps = 0.3 * torch.randn(1, 8, 3, 4, 4, dtype=torch.float64)
    changed = maps.clone()
    changed[:, :, 0, 0, 0] += 1
    difference = (block(changed) - block(maps)).abs().amax(dim=1)
    # the ReLU of a concatenation may be shut for some pairs
    assert (difference > 0).float().mean() > (0.5 if kind == "concatenation" else 0.999)


def test_maps_of_one_pixel_are_not_pooled():
    assert awake(kind="dot_product", subsample=True)(torch.randn(1, 8, 4, 1, 1)).shape[1:3] == (
        8,
        4,
    )


def test_wrong_values():
    with pytest.raises(ValueError, match="non_local_kind='softmax' must be one of gaussian, emb"):
        NonLocalBlock(channels=8, kind="softmax", subsample=True)
    with pytest.raises(ValueError, match="halves its 7 channels: use an even number"):
        NonLocalBlock(channels=7, kind="gaussian", subsample=True)
