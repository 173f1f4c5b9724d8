import numpy as np
import pytest
import torch

from videoclf.transforms.crops import Box
from videoclf.transforms.mixing import Mixing, Share, centred_box, draw_partners


def mixing(**changes):
    settings = {
        "probability": 1.0,
        "cutmix_probability": 0.5,
        "mixup_alpha": 0.8,
        "cutmix_alpha": 1.0,
    }
    return Mixing(**{**settings, **changes})


def test_mixup_blends_and_cutmix_pastes_one_box_into_all_frames():
    clips = torch.randn(3, 2, 4, 8, 8).contiguous(memory_format=torch.channels_last_3d)
    shares = [Share(0.25, None), Share(1 - 12 / 64, Box(1, 2, 3, 4)), Share(1.0, None)]
    mixed, mix = mixing().apply(clips, shares, np.array([1, 2, 0]))
    torch.testing.assert_close(mixed[0], 0.25 * clips[0] + 0.75 * clips[1])
    assert torch.equal(mixed[1][:, :, 1:4, 2:6], clips[2][:, :, 1:4, 2:6])
    outside = torch.ones(8, 8, dtype=torch.bool)
    outside[1:4, 2:6] = False
    assert torch.equal(mixed[1][:, :, outside], clips[1][:, :, outside])
    assert torch.equal(mixed[2], clips[2])
    assert mixed.is_contiguous(memory_format=torch.channels_last_3d)
    assert mix.partner.tolist() == [1, 2, 0]
    assert mix.own_share.tolist() == [0.25, 0.8125, 1.0]


def test_the_share_of_cutmix_is_exactly_the_area_that_is_left():
    generator = np.random.default_rng(0)
    only_cut = mixing(cutmix_probability=1.0)
    clips = torch.stack([torch.zeros(1, 2, 15, 20), torch.ones(1, 2, 15, 20)])
    for _ in range(100):
        share = only_cut.draw(15, 20, generator)
        mixed, mix = only_cut.apply(clips, [share, Share(1.0, None)], np.array([1, 0]))
        pasted = int(mixed[0, 0, 0].sum())
        assert (mixed[0, 0, 0] == mixed[0, 0, 1]).all()
        assert mix.own_share[0] == torch.tensor(1 - pasted / 300)


def test_shares_follow_their_distributions():
    generator = np.random.default_rng(0)
    draws = [mixing(probability=0.8).draw(64, 64, generator) for _ in range(4000)]
    cut = [share for share in draws if share.box is not None]
    blended = [share.own for share in draws if share.box is None and share.own < 1]
    assert len(cut) / 4000 == pytest.approx(0.4, abs=0.03)
    assert len(blended) / 4000 == pytest.approx(0.4, abs=0.03)
    assert np.mean(blended) == pytest.approx(0.5, abs=0.03)
    # the variance of Beta(a, a) is 1 / (4 (2a + 1))
    assert np.var(blended) == pytest.approx(1 / (4 * 2.6), rel=0.08)
    assert sum(share.own == 1 for share in draws) / 4000 == pytest.approx(0.2, abs=0.03)


def test_no_clip_is_its_own_partner():
    generator = np.random.default_rng(0)
    for num_clips in (2, 3, 8):
        partner = draw_partners(num_clips, generator)
        assert sorted(partner) == list(range(num_clips))
        assert (partner != np.arange(num_clips)).all()
    assert draw_partners(1, generator).tolist() == [0]
    assert len({tuple(draw_partners(4, generator)) for _ in range(100)}) == 6  # rings of four


def test_boxes_have_their_area_unless_the_border_cuts_them():
    generator = np.random.default_rng(0)
    boxes = [centred_box(40, 60, 0.25, generator) for _ in range(500)]
    assert max(box.height for box in boxes) == 20
    assert max(box.width for box in boxes) == 30
    assert all(box.top + box.height <= 40 and box.left + box.width <= 60 for box in boxes)
    assert any(box.width < 30 for box in boxes)
    assert centred_box(40, 60, 0.0, generator)[2:] == (0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probability": 1.5}, "transform.mixing.probability=1.5 must be in"),
        ({"cutmix_probability": -1}, "transform.mixing.cutmix_probability=-1 must be in"),
        ({"mixup_alpha": 0.0}, "mixup_alpha=0.0 must be above 0; switch one of the two off by"),
        ({"cutmix_alpha": -1.0}, "transform.mixing.cutmix_alpha=-1.0 must be above 0"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        mixing(**changes)
    assert not mixing(probability=0.0).active
