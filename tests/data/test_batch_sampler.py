import numpy as np
import pytest

from videoclf.data.batch_sampler import EvalBatches, TrainBatches
from videoclf.errors import ConfigError

ROWS = np.arange(100, 121)


def train(rank=0, world=1, batch_size=4, seed=0):
    return TrainBatches(ROWS, batch_size=batch_size, seed=seed, rank=rank, world=world)


def rows_of(batches):
    return [row for batch in batches for _, row in batch]


def test_an_epoch_reads_each_row_at_most_once_and_whole_batches_only():
    batches = list(train())
    assert len(batches) == len(train()) == 5
    assert all(len(batch) == 4 for batch in batches)
    assert len(set(rows_of(batches))) == 20


def test_epochs_and_seeds_have_their_own_order():
    sampler = train()
    first = rows_of(sampler)
    assert rows_of(sampler) == first
    sampler.sampler.set_epoch(1)  # the way Lightning finds it
    assert rows_of(sampler) != first
    assert all(epoch == 1 for batch in sampler for epoch, _ in batch)
    assert rows_of(train(seed=1)) != first


def test_a_global_batch_is_the_same_on_any_number_of_ranks():
    alone = list(train(batch_size=4))
    pair = [list(train(rank=rank, world=2, batch_size=2)) for rank in range(2)]
    joined = [a + b for a, b in zip(*pair, strict=True)]
    assert joined == alone


@pytest.mark.parametrize("world", [1, 2, 4])
def test_a_resumed_epoch_reads_what_was_left_whatever_the_number_of_ranks(world):
    shards = [train(rank=rank, world=world, batch_size=4 // world) for rank in range(world)]
    for shard in shards:
        shard.start_at(3, 2)
    left = [[row for part in parts for row in part] for parts in zip(*shards, strict=True)]
    whole = train()
    whole.set_epoch(3)
    assert left == list(whole)[2:]
    assert len(shards[0]) == 5  # of a whole epoch
    shards[0].set_epoch(4)
    assert len(list(shards[0])) == 5


def test_too_large_a_batch_says_what_fits():
    with pytest.raises(ConfigError, match="set data.batch_size to 10 or less"):
        train(batch_size=11, world=2)


@pytest.mark.parametrize("world", [1, 2, 3, 30])
@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_evaluation_reads_each_row_on_some_rank(world, batch_size):
    shards = [EvalBatches(ROWS, batch_size=batch_size, rank=r, world=world) for r in range(world)]
    read = [row for shard in shards for row in rows_of(shard)]
    assert set(read) == set(ROWS)
    # only a rank that would be idle repeats a row, so that it takes part in every hook
    assert len(read) == max(len(ROWS), world)
    assert all(len(list(shard)) == len(shard) >= 1 for shard in shards)
