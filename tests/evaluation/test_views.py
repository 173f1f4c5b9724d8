import pytest
import torch

from videoclf.evaluation.views import Views


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
        ({"average": "votes"}, "views.average='votes' must be"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        views(**changes)
