import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.models.contract import configured, count
from videoclf.models.masked_autoencoder import (
    MaskedAutoencoder,
    draw_tubes,
    join_tubelets,
    mean_and_deviation,
    reconstruction_loss,
    tubelet_pixels,
)

#: parameters and GMACs at 16x224x224, nine tenths hidden: counted from the authors' code
PUBLISHED = {"videomae_s": (24_029_376, 11.536), "videomae_b": (94_210_944, 35.44)}


def tubes(grid, mask_ratio=0.9, seed=0):
    return draw_tubes(grid, mask_ratio, np.random.default_rng(seed))


def autoencoder(decoder_depth=2, seed=0, **changes):
    model = configured("videomae_small", seed=seed, **changes)
    return MaskedAutoencoder(encoder=model.encoder, decoder_depth=decoder_depth)


def hidden_in(network, clips=2, mask_ratio=0.75):
    drawn = [tubes(network.encoder.grid, mask_ratio, seed) for seed in range(clips)]
    return torch.from_numpy(np.stack(drawn))


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_operations_are_the_published_ones(name):
    parameters, gmacs = PUBLISHED[name]
    with torch.device("meta"):
        model = configured(name, num_classes=400, num_frames=16, image_size=224)
        network = MaskedAutoencoder(encoder=model.encoder, decoder_depth=4).eval()
        assert count(network) == parameters
        assert (
            count(network.encoder) + count(network.norm)
            == {
                "videomae_s": 21_879_936,
                "videomae_b": 86_227_200,
            }[name]
        )
        assert pretraining_gmacs(network) == pytest.approx(gmacs, rel=5e-3)


def pretraining_gmacs(network, num_hidden=1408):
    """Count one clip's operations; places in a mask cannot be found without data, so give them."""
    hidden = torch.zeros(1, 1568, dtype=torch.bool, device="cpu")
    hidden[:, :num_hidden] = True
    clip = torch.zeros(1, 3, 16, 224, 224)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(clip, hidden)
    return counter.get_total_flops() / 2e9


def test_160_of_1568_tubelets_are_visible():
    hidden = tubes((8, 14, 14))
    assert hidden.shape == (1568,)
    assert hidden.sum() == 1408
    slices = hidden.reshape(8, 196)
    assert (slices.sum(1) == 176).all()
    assert (slices == slices[0]).all()


def test_tubes_depend_on_their_generator_alone():
    assert (tubes((8, 14, 14), seed=1) == tubes((8, 14, 14), seed=1)).all()
    assert (tubes((8, 14, 14), seed=1) != tubes((8, 14, 14), seed=2)).any()
    often = np.mean([tubes((1, 8, 8), 0.75, seed) for seed in range(300)], axis=0)
    assert abs(often - 0.75).max() < 0.12  # no place is preferred


@pytest.mark.parametrize("mask_ratio", [-0.1, 0.0, 0.01, 1.0, 1.5])
def test_a_mask_that_hides_nothing_or_all_is_refused(mask_ratio):
    with pytest.raises(ValueError, match=rf"task.mask_ratio={mask_ratio} hides .* of 64 places"):
        tubes((4, 8, 8), mask_ratio)


def test_tubelets_are_cut_and_joined():
    clips = torch.randn(2, 3, 4, 16, 24)
    tubelets = tubelet_pixels(clips, tubelet_frames=2, patch_pixels=8)
    assert tubelets.shape == (2, 2 * 2 * 3, 2 * 8 * 8, 3)
    # token 4 is row 1, column 1 of the first slice: its first row of pixels, red
    assert torch.equal(tubelets[0, 4, :8, 0], clips[0, 0, 0, 8, 8:16])
    assert torch.equal(join_tubelets(tubelets, (2, 2, 3), tubelet_frames=2), clips)


def test_the_target_is_normalised_by_tubelet_and_channel():
    network = autoencoder()
    pixels, hidden = torch.rand(2, 3, 8, 32, 32), hidden_in(network)
    tubelets = tubelet_pixels(pixels, tubelet_frames=2, patch_pixels=8)
    mean, deviation = mean_and_deviation(tubelets)
    one = tubelets[1, 5, :, 2]
    torch.testing.assert_close(mean[1, 5, 0, 2], one.mean())
    torch.testing.assert_close(deviation[1, 5, 0, 2], one.std(correction=1) + 1e-6)
    exact = ((tubelets - mean) / deviation)[hidden].unflatten(0, (2, -1)).flatten(2)
    losses = reconstruction_loss(exact, pixels, hidden, network.encoder, normalised=True)
    torch.testing.assert_close(losses, torch.zeros(2))
    # an even patch of the right colour is off by the variance, 127 / 128 of the unbiased one
    losses = reconstruction_loss(exact * 0, pixels, hidden, network.encoder, normalised=True)
    torch.testing.assert_close(losses, torch.full((2,), 127 / 128), atol=1e-4, rtol=0)


def test_a_target_of_plain_pixels():
    network = autoencoder()
    pixels, hidden = torch.rand(2, 3, 8, 32, 32), hidden_in(network)
    exact = tubelet_pixels(pixels, tubelet_frames=2, patch_pixels=8)[hidden]
    found = exact.unflatten(0, (2, -1)).flatten(2) + 0.5
    losses = reconstruction_loss(found, pixels, hidden, network.encoder, normalised=False)
    torch.testing.assert_close(losses, torch.full((2,), 0.25))


def test_only_hidden_tubelets_count():
    network = autoencoder().eval()
    pixels, hidden = torch.rand(2, 3, 8, 32, 32), hidden_in(network)
    tubelets = tubelet_pixels(pixels, tubelet_frames=2, patch_pixels=8).clone()
    found = network(pixels, hidden)
    before = reconstruction_loss(found, pixels, hidden, network.encoder, normalised=True)
    tubelets[~hidden] += torch.rand_like(tubelets[~hidden])
    changed = join_tubelets(tubelets, network.encoder.grid, tubelet_frames=2)
    after = reconstruction_loss(found, changed, hidden, network.encoder, normalised=True)
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_the_network_sees_visible_pixels_alone():
    network = autoencoder().eval()
    rgb, hidden = torch.rand(2, 3, 8, 32, 32).requires_grad_(), hidden_in(network)
    network(rgb, hidden).square().sum().backward()
    reached = tubelet_pixels(rgb.grad, tubelet_frames=2, patch_pixels=8).abs().sum((2, 3)) > 0
    assert torch.equal(reached, ~hidden)


def test_the_encoder_gets_visible_tokens_alone_and_the_decoder_all():
    network, lengths = autoencoder(), []
    for block in (network.encoder.blocks[0], network.decoder[0]):
        block.register_forward_pre_hook(lambda _, given: lengths.append(given[0].shape[1]))
    hidden = hidden_in(network)
    found = network(torch.rand(2, 3, 8, 32, 32), hidden)
    assert lengths == [64 - 48, 64]
    assert found.shape == (2, 48, 3 * 2 * 8 * 8)


def test_every_weight_has_a_gradient():
    network = autoencoder()
    pixels, hidden = torch.rand(2, 3, 8, 32, 32), hidden_in(network)
    found = network(pixels, hidden)
    losses = reconstruction_loss(found, pixels, hidden, network.encoder, normalised=True)
    losses.mean().backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def test_other_clips_interpolate_the_positions():
    network = autoencoder().eval()
    grid = network.encoder.grid_of(12, 24, 40)
    hidden = torch.from_numpy(tubes(grid, 0.6))[None]
    assert network(torch.rand(1, 3, 12, 24, 40), hidden).shape == (1, int(hidden.sum()), 384)


def test_an_encoder_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match=r"model.num_heads=3 cannot be halved; give even numbers"):
        autoencoder(num_heads=3)
    with pytest.raises(ValueError, match="task.decoder_depth=0 must be at least 1"):
        autoencoder(decoder_depth=0)
