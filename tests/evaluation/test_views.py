from dataclasses import replace

import pytest
import torch

from videoclf.errors import ConfigError
from videoclf.evaluation.views import Views, clip_order


def views(num_clips=2, num_crops=3, average="probabilities"):
    return Views(num_clips=num_clips, num_crops=num_crops, average=average)


def test_the_protocol_has_a_name():
    assert views(10, 3).name == "10x3"
    assert views(10, 3, "logits").name == "10x3_logits"
    assert views(10, 3).num_views == 30


def test_probabilities_are_averaged_over_views():
    logits = torch.randn(4, 6, 5)
    expected = logits.softmax(2).mean(1)
    torch.testing.assert_close(views().video_probabilities(logits), expected)


def test_logits_are_averaged_before_the_softmax():
    logits = torch.randn(4, 6, 5)
    expected = logits.mean(1).softmax(1)
    torch.testing.assert_close(views(average="logits").video_probabilities(logits), expected)


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_a_model_that_speaks_often_is_averaged_in_probability(average):
    logits = torch.randn(4, 6, 3, 5)
    per_clip = logits.softmax(3).mean(2)
    if average == "probabilities":
        expected = per_clip.mean(1)
    else:
        expected = per_clip.log().mean(1).softmax(1)
    torch.testing.assert_close(views(average=average).video_probabilities(logits), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_clips": 0}, "views.num_clips=0 must be at least 1"),
        ({"num_crops": 2}, "views.num_crops=2 must be 1, 3, 5 or 10"),
        ({"average": "votes"}, "views.average='votes' must be one of probabilities, logits, max"),
        ({"num_clips": 1, "num_crops": 1, "average": "top_k"}, "top_k=3 must be from 1 to the 1"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        views(**changes)


def test_the_name_says_what_departs_from_the_default():
    def named(**more):
        return Views(**{"num_clips": 10, "num_crops": 3, "average": "probabilities", **more}).name

    assert named(crop_pixels=256, positions="without_end") == "10x3@256_without_end"
    assert named(average="max", activation="sigmoid") == "10x3_max"
    assert named(average="top_k", top_k=5) == "10x3_best5"
    assert named(num_clips=1, num_crops=1, average="logits") == "1x1"


def test_the_highest_and_the_mean_of_the_highest():
    logits = torch.randn(4, 6, 5)
    probabilities = logits.softmax(2)
    highest = probabilities.amax(1)
    found = views(average="max").video_probabilities(logits)
    torch.testing.assert_close(found, highest / highest.sum(1, keepdim=True))
    best = Views(num_clips=2, num_crops=3, average="top_k", top_k=2).video_probabilities(logits)
    mean = probabilities.sort(1, descending=True).values[:, :2].mean(1)
    torch.testing.assert_close(best, mean / mean.sum(1, keepdim=True))


def test_a_sigmoid_takes_each_class_by_itself():
    logits = torch.randn(4, 6, 5)

    def found(average):
        made = Views(num_clips=2, num_crops=3, average=average, activation="sigmoid")
        return made.video_probabilities(logits)

    torch.testing.assert_close(found("max"), logits.sigmoid().amax(1))
    torch.testing.assert_close(found("probabilities"), logits.sigmoid().mean(1))
    torch.testing.assert_close(found("logits"), logits.mean(1).sigmoid())


def test_every_prefix_of_clips_from_one_pass():
    logits = torch.randn(4, 15, 7)
    made = views(5, 3)
    prefixes = made.prefix_probabilities(logits)  # (B, clips, K)
    assert clip_order(5) == (2, 0, 4, 1, 3)
    middle_and_first = torch.cat([logits[:, 6:9], logits[:, 0:3]], 1)
    torch.testing.assert_close(prefixes[:, 0], views(1, 3).video_probabilities(logits[:, 6:9]))
    torch.testing.assert_close(prefixes[:, 1], views(2, 3).video_probabilities(middle_and_first))
    torch.testing.assert_close(prefixes[:, -1], made.video_probabilities(logits))


@pytest.mark.parametrize("average", ["probabilities", "top_k"])
def test_a_protocol_gives_its_views_again(average):
    made = Views(num_clips=4, num_crops=3, average=average, crop_pixels=224, keep=True)
    told = {"subset": "test", **made.protocol(), "ema_decay": None}
    assert "keep" not in told
    assert Views.of_protocol(told) == replace(made, keep=False)
    assert views(2, 3).protocol() == {"num_clips": 2, "num_crops": 3, "average": "probabilities"}


def test_a_crop_must_fit_into_the_frame():
    made = Views(num_clips=1, num_crops=3, average="logits", crop_pixels=256)
    assert views().sizes(128, 112) == (128, 112)
    assert made.sizes(256, 224) == (256, 256)
    with pytest.raises(ConfigError, match="a test crop of 256 pixels does not fit into a short"):
        made.sizes(128, 112)
