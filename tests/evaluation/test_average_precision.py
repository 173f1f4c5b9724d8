import numpy as np
import pytest
import torch

from videoclf.evaluation.average_precision import (
    multi_hot,
    multi_hot_lists,
    multi_label_loss,
    multi_label_metrics,
)
from videoclf.evaluation.scores import Scores
from videoclf.reports.analysis import average_precision

LABELS = torch.tensor(
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0]], dtype=torch.bool
)
PROBABILITIES = torch.tensor(
    [
        [0.9, 0.2, 0.1, 0.5],
        [0.3, 0.8, 0.2, 0.5],
        [0.7, 0.6, 0.3, 0.5],
        [0.6, 0.7, 0.4, 0.5],
        [0.1, 0.1, 0.9, 0.5],
    ]
)


def scores(available=(True,) * 5):
    available = torch.tensor(available)
    probabilities = PROBABILITIES.clone()
    probabilities[~available] = float("nan")
    return Scores(torch.arange(5), LABELS, probabilities, available, ())


def test_map_is_the_mean_over_classes_with_videos():
    # class 0 finds its videos at places 1, 3, 4; class 1 at 1, 3, 5; class 2 at 1; class 3 has none
    first, second = (1 + 2 / 3 + 3 / 4) / 3, (1 + 2 / 3 + 3 / 5) / 3
    found = multi_label_metrics(scores(), protocol="3x1")
    assert found == {"video_map_3x1": pytest.approx((first + second + 1) / 3, abs=1e-6)}
    report = [
        average_precision(PROBABILITIES[:, k].numpy(), LABELS[:, k].numpy()) for k in range(3)
    ]
    assert found["video_map_3x1"] == pytest.approx(np.mean(report), abs=1e-6)


def test_a_missing_video_is_never_found():
    found = multi_label_metrics(scores((True, True, True, True, False)), protocol="1x1")
    first, second = (1 + 2 / 3 + 3 / 4) / 3, (1 + 2 / 3) / 2
    assert found["video_map_1x1_available"] == pytest.approx((first + second) / 2, abs=1e-6)
    assert found["video_map_1x1"] == pytest.approx((first + second * 2 / 3 + 0) / 3, abs=1e-6)
    assert found["video_map_1x1_listed"] == found["video_map_1x1"]


def test_without_any_video_there_is_nothing_to_measure():
    nothing = multi_label_metrics(scores((False,) * 5), protocol="1x1")
    assert nothing["video_map_1x1"] == 0
    assert np.isnan(nothing["video_map_1x1_available"])


def test_the_loss_is_the_binary_cross_entropy_of_available_videos():
    seen = scores((True, True, False, False, False))
    expected = torch.nn.functional.binary_cross_entropy(PROBABILITIES[:2], LABELS[:2].float())
    assert multi_label_loss(seen) == pytest.approx(float(expected), rel=1e-6)


def test_padded_and_listed_labels_become_the_same_targets():
    padded = torch.tensor([[2, 0], [1, -1], [-1, -1]])
    expected = [[True, False, True], [False, True, False], [False, False, False]]
    assert multi_hot(padded, 3).tolist() == expected
    listed = multi_hot_lists(np.array([2, 1, 0]), np.array([2, 0, 1]), 3)
    assert listed.tolist() == expected
