import pytest
import torch

from videoclf.order_probe.versions import VERSIONS, shuffled_order

#: two clips of 8 frames, each filled with its number
CLIPS = torch.arange(8.0).view(1, 1, 8, 1, 1).expand(2, 3, 8, 4, 4)
SEEDS = [(0, 1, 0), (0, 2, 0)]


def shown(name):
    """Frame numbers of each version of the first clip."""
    found = VERSIONS[name](CLIPS, SEEDS)
    assert all(clips.shape == CLIPS.shape for clips in found)
    return [clips[0, 0, :, 0, 0].int().tolist() for clips in found]


def test_versions():
    assert shown("plain") == [[0, 1, 2, 3, 4, 5, 6, 7]]
    assert shown("reversed") == [[7, 6, 5, 4, 3, 2, 1, 0]]
    assert shown("first frame") == [[0] * 8]
    assert shown("middle frame") == [[4] * 8]
    assert shown("single frames") == [[n] * 8 for n in range(8)]
    assert next(iter(VERSIONS)) == "plain"


def test_of_long_clips_eight_single_frames_are_looked_at():
    clips = torch.arange(64.0).view(1, 1, 64, 1, 1)
    found = VERSIONS["single frames"](clips, SEEDS[:1])
    assert [int(each[0, 0, 0]) for each in found] == [0, 9, 18, 27, 36, 45, 54, 63]


def test_each_clip_is_shuffled_in_its_own_way_and_always_the_same():
    (mixed,) = VERSIONS["shuffled"](CLIPS, SEEDS)
    first, second = mixed[:, 0, :, 0, 0].int().tolist()
    assert sorted(first) == sorted(second) == list(range(8))
    assert first != second
    assert torch.equal(VERSIONS["shuffled"](CLIPS, SEEDS)[0], mixed)


@pytest.mark.parametrize("num_frames", [2, 3, 4])
def test_short_clips_are_never_shuffled_into_their_own_order(num_frames):
    plain = list(range(num_frames))
    for seed in range(50):
        order = shuffled_order(num_frames, (seed,)).tolist()
        assert sorted(order) == plain
        assert order != plain
        assert num_frames == 2 or order != plain[::-1]
