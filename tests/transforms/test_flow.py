import numpy as np
import pytest
import torch

from tests.transforms.examples import mixing, rand_augment, standard
from videoclf.errors import ConfigError
from videoclf.flow.quantisation import mirrored
from videoclf.transforms.flow import mirror_codes, normalise_codes
from videoclf.types import Batch


def batch(num_videos=4, num_frames=3, pixels=8):
    generator = torch.Generator().manual_seed(0)
    shape = (num_videos, 1, num_frames, pixels, pixels)
    return Batch(
        inputs={
            "rgb": torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=generator),
            "flow": torch.randint(0, 256, (*shape, 2), dtype=torch.uint8, generator=generator),
        },
        labels=torch.arange(num_videos)[:, None],
        epochs=torch.zeros(num_videos, dtype=torch.int64),
        indices=torch.arange(num_videos),
        num_views=1,
    )


def test_codes_become_displacements_in_bounds():
    codes = torch.tensor([0, 255, 128], dtype=torch.uint8).view(1, 1, 3, 1, 1).expand(1, 2, 3, 1, 1)
    fields = normalise_codes(codes, subtract_mean=False)
    torch.testing.assert_close(fields[0, 0, :, 0, 0], torch.tensor([-1.0, 1.0, 1 / 255]))


def test_the_mean_of_each_field_is_taken_off():
    codes = torch.randint(0, 256, (2, 2, 3, 4, 4), dtype=torch.uint8)
    fields = normalise_codes(codes, subtract_mean=True)
    torch.testing.assert_close(fields.mean((3, 4)), torch.zeros(2, 2, 3), atol=1e-6, rtol=0)
    spread = normalise_codes(codes, subtract_mean=False) - fields
    assert (spread - spread[:, :, :, :1, :1]).abs().max() < 1e-6


def test_the_device_mirrors_as_the_stored_codes_do():
    codes = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 2), dtype=np.uint8)  # (T, H, W, 2)
    clip = torch.from_numpy(codes).permute(3, 0, 1, 2)[None]  # (1, 2, T, H, W)
    expected = torch.from_numpy(mirrored(codes)).permute(3, 0, 1, 2)[None]
    assert torch.equal(mirror_codes(clip), expected)
    assert torch.equal(mirror_codes(mirror_codes(clip)), clip)


def test_flow_is_flipped_where_its_frames_are():
    transform = standard(mean=(0.0,) * 3, std=(1.0,) * 3)
    given = batch(num_videos=16)
    seen = transform.on_device(given, seed=0, train=True).inputs
    plain = transform.on_device(given, seed=0, train=False).inputs
    flipped = (seen["rgb"] != plain["rgb"]).flatten(1).any(1)
    assert 0 < int(flipped.sum()) < 16
    for row in range(16):
        expected = plain["flow"][row]
        if flipped[row]:
            expected = expected.flip(3) * torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)
        torch.testing.assert_close(seen["flow"][row], expected)


def test_both_modalities_are_mixed_alike():
    transform = standard(flip_probability=0.0, mixing=mixing(1.0))
    given = batch(num_videos=8)
    alone = Batch(
        inputs={"flow": given.inputs["flow"]},
        labels=given.labels,
        epochs=given.epochs,
        indices=given.indices,
        num_views=1,
    )
    both = transform.on_device(given, seed=0, train=True)
    flow = transform.on_device(alone, seed=0, train=True)
    assert torch.equal(both.inputs["flow"], flow.inputs["flow"])
    assert torch.equal(both.mix.partner, flow.mix.partner)
    assert torch.equal(both.mix.own_share, flow.mix.own_share)


def test_ten_crops_of_flow_mirror_its_sign():
    codes = np.random.default_rng(0).integers(0, 256, (3, 32, 40, 2), dtype=np.uint8)
    crops = standard().view_crops(codes, 10, "flow")
    for crop, other in zip(crops[:5], crops[5:], strict=True):
        np.testing.assert_array_equal(other, mirrored(crop))


def test_what_would_move_frames_away_from_their_flow_is_refused():
    transform = standard(rand_augment=rand_augment(2))
    transform.check_modalities(["rgb"])
    with pytest.raises(ConfigError, match=r"set transform.rand_augment.num_operations=0"):
        transform.check_modalities(["rgb", "flow"])
