import pytest
import torch

from videoclf.explaining.heat import frame_shares, upsample


def test_heat_lies_on_the_pixels_of_its_patch():
    """Cell (1, 2, 0) of 2 x 4 x 4 is frames 4 to 7, rows 16 to 23, columns 0 to 7."""
    heat = torch.zeros(2, 4, 4)
    heat[1, 2, 1] = 5.0
    found = upsample(heat, (8, 32, 32))
    assert found.shape == (8, 32, 32)
    assert found.sum() == pytest.approx(1)
    time, row, column = (found == found.max()).nonzero().float().mean(0).tolist()
    assert 4 <= time <= 7
    assert (row, column) == (19.5, 11.5)  # the middle of rows 16 to 23, columns 8 to 15
    inside = found[:, 16:24, 8:16]
    assert inside.mean() > 5 * found.mean()
    assert not found[:, :12].any()


def test_even_heat_stays_even():
    found = upsample(torch.ones(1, 2, 3), (4, 6, 6))
    torch.testing.assert_close(found, torch.full((4, 6, 6), 1 / 144))
    torch.testing.assert_close(frame_shares(found), torch.full((4,), 1 / 4))


def test_shares_follow_the_steps():
    heat = torch.tensor([1.0, 3.0])[:, None, None].expand(2, 4, 4)
    shares = frame_shares(upsample(heat, (4, 8, 8)))
    torch.testing.assert_close(shares, torch.tensor([1.0, 1.5, 2.5, 3.0]) / 8)


def test_no_heat_is_no_heat():
    assert not upsample(torch.zeros(2, 2, 2), (4, 8, 8)).any()
