import numpy as np
import pytest

from videoclf.data.balance import check_balance, expected_reads
from videoclf.data.batch_sampler import COPIES_APART, TrainBatches

#: class 0 has 64 videos, class 1 sixteen, class 2 four
LABELS = np.repeat([0, 1, 2], [64, 16, 4])
ONE_EACH = np.ones(84, np.int64)
ROWS = np.arange(100, 184)


def batches(balance, *, epoch=0, rank=0, world=1, batch_size=12, seed=0):
    sampler = TrainBatches(
        ROWS,
        batch_size=batch_size,
        seed=seed,
        rank=rank,
        world=world,
        reads=expected_reads(ONE_EACH, LABELS, balance),
    )
    sampler.set_epoch(epoch)
    return sampler


def counts(sampler):
    read = [row - 100 for batch in sampler for _, row in batch]
    return np.bincount(LABELS[read], minlength=3)


@pytest.mark.parametrize(
    ("balance", "shares"),
    [
        ("none", [64 / 84, 16 / 84, 4 / 84]),
        ("square_root", [8 / 14, 4 / 14, 2 / 14]),
        ("classes", [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_each_epoch_has_the_shares_of_the_classes(balance, shares):
    for epoch in range(5):
        sampler = batches(balance, epoch=epoch)
        assert len(sampler) == 7  # as without
        found = counts(sampler)
        assert found.sum() == 84
        assert (np.abs(found - 84 * np.array(shares)) < 1).all()


def test_within_a_class_no_video_is_read_twice_more_than_another():
    reads = expected_reads(ONE_EACH, LABELS, "classes")
    for seed in range(5):
        places, before = reads.draw(np.random.default_rng(seed))
        times = np.bincount(places, minlength=84)
        for chosen in range(3):
            own = times[chosen == LABELS]
            assert own.max() - own.min() <= 1
        assert sorted(before[places == 83]) == list(range(times[83]))  # 7 times: 28 over 4


def test_over_many_epochs_all_videos_of_a_class_are_read_alike():
    reads = expected_reads(ONE_EACH, LABELS, "classes")
    times = np.zeros(84)
    for seed in range(400):
        times += np.bincount(reads.draw(np.random.default_rng(seed))[0], minlength=84)
    # 28 of 64 videos are read an epoch: 175 times each, with a deviation of 9.9
    assert abs(times[:64].mean() - 175) < 1
    assert np.abs(times[:64] - 175).max() < 45


def test_a_video_that_is_read_again_has_its_own_chance():
    keys = [key for batch in batches("classes", epoch=3) for key in batch]
    assert len(set(keys)) == len(keys)
    again = [epoch for epoch, row in keys if row == 183]
    assert sorted(again) == [3 + COPIES_APART * number for number in range(7)]


def test_an_epoch_depends_on_the_seed_and_its_number():
    first = list(batches("classes"))
    assert list(batches("classes")) == first
    assert list(batches("classes", epoch=1)) != first
    assert list(batches("classes", seed=1)) != first


@pytest.mark.parametrize("world", [2, 4])
def test_any_number_of_ranks_and_a_resume_read_the_same(world):
    whole = list(batches("square_root", epoch=2))
    shards = [
        batches("square_root", epoch=2, rank=rank, world=world, batch_size=12 // world)
        for rank in range(world)
    ]
    for shard in shards:
        shard.start_at(2, 3)
    left = [[key for part in parts for key in part] for parts in zip(*shards, strict=True)]
    assert left == whole[3:]


def test_a_video_of_several_classes_counts_as_the_rarest():
    # videos: 0 | 0 | 0 1 | (none); class 0 has three videos, class 1 and "none" one each
    reads = expected_reads(np.array([1, 1, 2, 0]), np.array([0, 0, 0, 1]), "classes")
    np.testing.assert_allclose(reads.expected, np.array([1 / 3, 1 / 3, 1, 1]) * 4 / (8 / 3))
    assert (reads.classes == 0).all()


def test_another_balance_is_refused():
    with pytest.raises(ValueError, match="data.balance='class' must be one of none, square_root"):
        check_balance("class")
