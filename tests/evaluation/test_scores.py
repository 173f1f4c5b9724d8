import numpy as np
import torch

from videoclf.evaluation.scores import ShardScores, gather, join
from videoclf.types import Unreadable

ROWS = np.array([2, 5, 7, 9])
LABELS = np.array([0, 1, 1, 0])


def shard(rows, unreadable=()):
    probabilities = torch.tensor([[row / 10, 1 - row / 10] for row in rows])
    return ShardScores(torch.tensor(rows), probabilities.reshape(-1, 2), tuple(unreadable))


def test_shards_join_by_row_in_any_order():
    for parts in ([[2, 5, 7, 9]], [[9, 2], [7, 5]], [[5], [2], [9], [7]]):
        scores = join(map(shard, parts), rows=ROWS, labels=LABELS, num_classes=2)
        assert torch.allclose(scores.probabilities[:, 0], torch.tensor(ROWS / 10).float())
        assert scores.num_missing == 0


def test_a_row_that_two_ranks_read_counts_once():
    scores = join([shard([2, 5, 7, 9]), shard([2])], rows=ROWS, labels=LABELS, num_classes=2)
    assert len(scores.rows) == 4


def test_what_nobody_read_is_missing_with_its_reason():
    broken = Unreadable(7, "b.mp4", "is empty (0 bytes)")
    scores = join([shard([2, 9], [broken]), shard([5])], rows=ROWS, labels=LABELS, num_classes=2)
    assert scores.available.tolist() == [True, True, False, True]
    assert scores.probabilities[2].isnan().all()
    assert scores.unreadable == (broken,)


def test_one_process_gathers_its_own_shard():
    own = shard([2])
    assert gather(own) == [own]
