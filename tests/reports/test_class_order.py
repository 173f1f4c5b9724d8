import numpy as np
import pytest

from videoclf.reports.class_order import similarity_order
from videoclf.reports.predictions import Predictions


def drawn(closeness, videos_each=6, seed=0):
    """Return predictions that give class j of a video of class i about `closeness[i, j]`."""
    num_classes = len(closeness)
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_classes), videos_each)
    given = closeness[labels] * generator.uniform(0.8, 1.2, (len(labels), num_classes))
    return Predictions(
        paths=[f"{n}.mp4" for n in range(len(labels))],
        starts=[None] * len(labels),
        ends=[None] * len(labels),
        labels=[(int(label),) for label in labels],
        probabilities=(given / given.sum(1, keepdims=True)).astype(np.float32),
        available=np.ones(len(labels), bool),
        class_names=tuple(f"class {k}" for k in range(num_classes)),
        protocol={},
        manifest_sha256="0" * 64,
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_chain_of_similar_classes_is_found_again(seed):
    """Ten classes on a line, each like its neighbours, under shuffled ids."""
    line = np.arange(10)
    closeness = np.exp(-np.abs(line[:, None] - line) / 0.7)
    shuffle = np.random.default_rng(seed).permutation(10)
    order = similarity_order(drawn(closeness[np.ix_(shuffle, shuffle)], seed=seed))
    assert sorted(order) == list(range(10))
    steps = np.abs(np.diff(shuffle[order]))
    assert np.median(steps) == 1
    assert (steps > 1).sum() <= 2


def test_groups_stay_together():
    group = np.array([0, 1, 2] * 4)
    closeness = np.where(group[:, None] == group, 0.2, 0.001) + np.eye(12)
    order = similarity_order(drawn(closeness))
    assert (np.diff(group[order]) != 0).sum() == 2


def test_without_any_similarity_ids_decide():
    assert similarity_order(drawn(np.eye(5))).tolist() == [0, 1, 2, 3, 4]


def test_many_classes_take_no_time():
    closeness = np.random.default_rng(0).random((400, 400)) ** 8 + 5 * np.eye(400)
    assert sorted(similarity_order(drawn(closeness, videos_each=2))) == list(range(400))
