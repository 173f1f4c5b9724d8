"""Rows are runs that differ in their seed only, and are named by what else differs."""

from tests.comparing.finished_runs import MODEL, make_run
from videoclf.comparing.differences import (
    aspects,
    group_by_settings,
    row_names,
    split_by_aspects,
)
from videoclf.comparing.finished_run import read_run


def runs(tmp_path, *settings):
    return [
        read_run(make_run(tmp_path / str(n), [1, 0], **given)) for n, given in enumerate(settings)
    ]


def test_seeds_places_and_workers_make_no_difference(tmp_path):
    found = runs(
        tmp_path,
        {"seed": 1},
        {"seed": 2, "config": [("data.num_workers", 7), ("name", "x"), ("data.root", "/else")]},
        {"seed": 1, "config": [("optimizer.learning_rate", 0.1)]},
    )
    assert group_by_settings(found) == [found[:2], found[2:]]


def test_a_key_names_the_row_by_its_last_word(tmp_path):
    found = runs(tmp_path, {}, {"config": [("optimizer.learning_rate", 0.1)]})
    assert row_names(found) == ["learning_rate=0.002", "learning_rate=0.1"]
    found = runs(tmp_path / "b", {}, {"config": [("model.widths", [8, 16]), ("ema_decay", 0.9)]})
    assert row_names(found) == [
        "widths=[4,8], ema_decay=(not set)",
        "widths=[8,16], ema_decay=0.9",
    ]


def test_a_choice_names_the_row_and_its_keys_only_among_equals(tmp_path):
    wide = [("model.widths", [8, 16])]
    other = [("model", {**MODEL, "_target_": "videoclf.models.early_fusion.EarlyFusion"})]
    found = runs(tmp_path, {}, {"config": wide}, {"model": "early_fusion", "config": other})
    assert row_names(found) == [
        "slow_fusion, widths=[4,8]",
        "slow_fusion, widths=[8,16]",
        "early_fusion",
    ]


def test_a_key_that_follows_another_is_named_once(tmp_path):
    more = [("sampler.num_frames", 8), ("model.num_frames", 8)]
    found = runs(tmp_path, {}, {"config": more})
    assert row_names(found) == ["sampler.num_frames=4", "sampler.num_frames=8"]


def test_equal_runs_are_named_by_their_model(tmp_path):
    assert row_names(runs(tmp_path, {}, {})) == ["slow_fusion", "slow_fusion"]


def test_what_makes_runs_incomparable(tmp_path):
    found = runs(
        tmp_path,
        {"config": [("data.split", 1)]},
        {"config": [("data.split", 2)], "protocol": [("num_clips", 10), ("ema_decay", 0.9)]},
        {"config": [("data.split", 1), ("data.batch_size", 3)]},
    )
    (first, one), (second, other) = split_by_aspects(found)
    assert (one, other) == ([found[0], found[2]], [found[1]])
    assert first == {"data.split": "1", "protocol.num_clips": "2"}
    assert second == {"data.split": "2", "protocol.num_clips": "10"}
    assert aspects(found[0])["test list"].startswith("2 videos (")


def test_another_test_list_is_seen(tmp_path):
    found = [read_run(make_run(tmp_path / str(n), [1] * n)) for n in (2, 3)]
    (first, _), (second, _) = split_by_aspects(found)
    assert list(first) == ["manifest", "test list"]
    assert second["test list"].startswith("3 videos (")
