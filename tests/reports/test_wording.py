import math

import pytest

from videoclf.reports import wording

TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("name", "subset", "level", "title", "views", "average", "over"),
    [
        ("test/video_top1_10x3", "test", "video", "top-1", (10, 3), "", ""),
        ("test/video_top5_10x3_available", "test", "video", "top-5", (10, 3), "", "available"),
        ("test/video_map_10x3_logits_listed", "test", "video", "mAP", (10, 3), "logits", "listed"),
        ("train/clip_top1", "train", "clip", "top-1", None, "", ""),
        ("val/loss", "val", "", "loss", None, "", ""),
        ("val/video_mean_class_1x1", "val", "video", "mean class accuracy", (1, 1), "", ""),
        ("learning_rate", "", "", "learning rate", None, "", ""),
    ],
)
def test_names_fall_apart(name, subset, level, title, views, average, over):
    parts = wording.parse_metric(name)
    assert (parts.subset, parts.level, parts.title) == (subset, level, title)
    assert (parts.views, parts.average, parts.over) == (views, average, over)


def test_the_headline_is_the_listed_video_accuracy_of_the_subset(make_results):
    names = [
        "val/video_top1_1x1",
        "test/clip_top1",
        "test/video_top5_10x3",
        "test/video_top1_10x3_available",
        "test/video_top1_10x3",
    ]
    results = make_results(metrics=dict.fromkeys(names, 0.5))
    assert wording.headline_metric(results) == "test/video_top1_10x3"
    multi = make_results(metrics={"test/video_top1_10x3": 0.9, "test/video_map_10x3": 0.4})
    assert wording.headline_metric(multi) == "test/video_map_10x3"
    assert wording.headline_metric(make_results(metrics={})) is None


def test_a_headline_says_its_protocol(make_results):
    results = make_results()
    assert wording.headline_in_words(results, "test/video_top1_10x3") == (
        f"top-1 over 20 listed videos, 10 clips {TIMES} 3 crops, probabilities averaged"
    )
    logits = wording.headline_in_words(results, "test/video_top1_1x1_logits")
    assert logits == f"top-1 over 20 listed videos, 1 clip {TIMES} 1 crop"
    counts = {"expected": 20, "evaluated": 18, "missing": 2}
    some = make_results(counts=counts, protocol={"ema_decay": 0.999})
    words = wording.headline_in_words(some, "test/video_top1_10x3_available")
    assert words == f"top-1 over 18 available videos, 10 clips {TIMES} 3 crops, EMA weights"
    diving = make_results(protocol={"label_version": "V2"})
    words = wording.headline_in_words(diving, "test/video_mean_class_1x3@224")
    assert words.startswith("mean class accuracy over 20 listed videos")
    assert words.endswith("3 crops, labels V2")


def test_an_alias_is_not_shown_twice(make_results):
    names = ["test/video_top1_1x1", "test/video_top1_1x1_listed", "test/video_top1_1x1_available"]
    results = make_results(metrics=dict.fromkeys(names, 0.5))
    assert wording.other_metrics(results) == ["test/video_top1_1x1_available"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (42.34, "42.3 s"),
        (59.97, "1 min 0 s"),
        (95, "1 min 35 s"),
        (3725, "1 h 2 min"),
        (400_000, "111 h 6 min"),
        (None, DASH),
        (math.nan, DASH),
    ],
)
def test_seconds(seconds, words):
    assert wording.seconds_in_words(seconds) == words


def test_numbers():
    assert wording.share(0.9434) == "0.943"
    assert wording.share(math.nan) == wording.percent(None) == wording.number(math.inf) == DASH
    assert wording.percent(0.042) == "4.2 %"
    assert [wording.number(x) for x in (1234.5, 12.34, 7.0)] == ["1,234", "12.3", "7"]
    assert wording.plural(1, "clip") == "1 clip"
    assert wording.plural(1200, "clip") == "1,200 clips"


def test_a_protocol_in_a_name_falls_apart():
    parts = wording.parse_metric("test/video_top1_10x3@256_without_end_max_available")
    assert (parts.views, parts.crop_pixels, parts.positions) == ((10, 3), 256, "without_end")
    assert (parts.average, parts.over, parts.title) == ("max", "available", "top-1")
    parts = wording.parse_metric("test/video_top5_10x3_logits_average_1_1.5_listed")
    assert (parts.average, parts.ensemble, parts.over) == ("logits", "average_1_1.5", "listed")
    assert wording.parse_metric("test/video_ece_4x1_best3").title == "calibration error"


def test_views_in_words():
    protocol = {"num_clips": 10, "num_crops": 3, "crop_pixels": 256, "positions": "without_end"}
    assert wording.views_in_words({**protocol, "average": "max"}) == (
        f"10 clips {TIMES} 3 crops of 256 pixels, clips from the start, the end left out, "
        "highest probability of each class"
    )
    best = {"num_clips": 2, "num_crops": 1, "average": "top_k", "top_k": 2}
    assert wording.views_in_words(best).endswith(
        "mean of the 2 highest probabilities of each class"
    )
