import numpy as np
import pyarrow as pa
import pytest

from videoclf.data.formats.holdout import check_fractions, hold_out
from videoclf.errors import ConfigError


def paths_and_classes(*counts):
    paths = [f"c{c}/{i:04d}.mp4" for c, count in enumerate(counts) for i in range(count)]
    classes = [c for c, count in enumerate(counts) for _ in range(count)]
    return pa.array(paths), np.array(classes)


def test_each_class_gives_its_share():
    paths, classes = paths_and_classes(100, 20, 7)
    subsets = hold_out(paths, classes, val_fraction=0.15, test_fraction=0.25)
    for class_id, val, test in ((0, 15, 25), (1, 3, 5), (2, 1, 2)):
        own = subsets[classes == class_id]
        assert (own == "val").sum() == val
        assert (own == "test").sum() == test


def test_the_choice_is_this_one_for_ever():
    # A reference: other videos held out would make results of different versions incomparable.
    paths, classes = paths_and_classes(10)
    subsets = hold_out(paths, classes, val_fraction=0.2, test_fraction=0.2)
    assert [i for i, s in enumerate(subsets) if s == "test"] == [5, 8]
    assert [i for i, s in enumerate(subsets) if s == "val"] == [2, 3]


def test_the_order_of_the_rows_does_not_matter():
    paths, classes = paths_and_classes(40, 30)
    order = np.random.default_rng(0).permutation(70)
    subsets = hold_out(paths, classes, val_fraction=0.15)
    shuffled = hold_out(paths.take(pa.array(order)), classes[order], val_fraction=0.15)
    assert (shuffled == subsets[order]).all()


@pytest.mark.parametrize(("count", "expected"), [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1))])
def test_small_classes_keep_one_to_train(count, expected):
    paths, classes = paths_and_classes(100, count)
    subsets = hold_out(paths, classes, val_fraction=0.15, test_fraction=0.15)[classes == 1]
    assert tuple((subsets == name).sum() for name in ("train", "val", "test")) == expected


def test_whole_groups_come_near_to_the_share_of_each_class():
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(20), 100)
    groups = np.array([f"{c}_{rng.integers(0, 18)}" for c in classes])
    paths = pa.array([f"{i}.avi" for i in range(2000)])
    subsets = hold_out(paths, classes, val_fraction=0.15, groups=pa.array(groups))
    for group in np.unique(groups):
        assert len(np.unique(subsets[groups == group])) == 1
    shares = [(subsets[classes == c] == "val").mean() for c in range(20)]
    assert min(shares) > 0.10
    assert max(shares) < 0.20
    assert abs(np.mean(shares) - 0.15) < 0.01


def test_groups_larger_than_the_share_give_their_smallest():
    groups = pa.array(["a"] * 8 + ["b"] * 5 + ["c"] * 9)
    paths, classes = paths_and_classes(22)
    subsets = hold_out(paths, classes, val_fraction=0.05, groups=groups)
    assert subsets.tolist() == ["train"] * 8 + ["val"] * 5 + ["train"] * 9


def test_rows_without_a_group_stand_alone():
    paths, classes = paths_and_classes(40)
    groups = pa.array(["one"] * 20 + [None] * 20)
    subsets = hold_out(paths, classes, val_fraction=0.25, groups=groups)
    assert len(set(subsets[:20])) == 1
    assert len(set(subsets[20:])) == 2


def test_a_group_of_several_classes_stays_whole():
    classes = np.array([0, 1] * 30)
    groups = pa.array([f"g{i // 6}" for i in range(60)])
    paths = pa.array([f"{i}.mp4" for i in range(60)])
    subsets = hold_out(paths, classes, val_fraction=0.2, test_fraction=0.2, groups=groups)
    assert {name: (subsets == name).sum() for name in ("val", "test")} == {"val": 12, "test": 12}


def test_nothing_to_hold_out_is_an_error():
    paths, classes = paths_and_classes(1, 1)
    with pytest.raises(ConfigError, match=r"data\.val_fraction=0.15 holds out none of 2 videos"):
        hold_out(paths, classes, val_fraction=0.15)


@pytest.mark.parametrize(
    ("val", "test", "message"),
    [
        (1.0, 0.0, r"data\.val_fraction=1\.0 must be at least 0 and below 1"),
        (0.1, -0.1, r"data\.test_fraction=-0\.1 must"),
        (0.5, 0.5, r"leave nothing to train on; their sum must stay below 1"),
    ],
)
def test_fractions_are_checked(val, test, message):
    with pytest.raises(ValueError, match=message):
        check_fractions(val, test)


def test_the_log_says_what_was_done(caplog):
    caplog.set_level("INFO")
    hold_out(*paths_and_classes(20), val_fraction=0.15)
    assert "val: 3 of 20 listed videos held out" in caplog.text
    assert "fixed seed" in caplog.text
