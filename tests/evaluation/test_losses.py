import numpy as np
import pytest
import torch

from videoclf.evaluation.losses import ShardLosses, join_losses
from videoclf.types import Unreadable


def shard(rows, losses, unreadable=()):
    return ShardLosses(torch.tensor(rows), torch.tensor(losses), tuple(unreadable))


def test_shards_join_by_row_whatever_their_order():
    joined = join_losses(
        [shard([7, 3], [0.5, 1.0]), shard([4, 7], [0.75, 0.5])], rows=np.array([3, 4, 7])
    )
    assert joined.losses.tolist() == [1.0, 0.75, 0.5]
    assert joined.num_missing == 0
    assert joined.mean == pytest.approx(0.75)


def test_what_nobody_measured_is_missing_and_not_in_the_mean():
    broken = Unreadable(4, "b.mp4", "is empty")
    joined = join_losses([shard([3], [0.25], [broken])], rows=np.array([3, 4]))
    assert joined.num_missing == 1
    assert joined.mean == 0.25
    assert joined.unreadable == (broken,)
