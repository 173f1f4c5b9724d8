"""Every metric against numbers computed with NumPy from the same scores."""

import numpy as np
import pytest
import torch

from videoclf.evaluation.metrics import confusion, video_metrics
from videoclf.evaluation.scores import Scores


def make_scores(num_videos=60, num_classes=8, missing=(), seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, num_classes - 1, num_videos)  # the last class has no video
    probabilities = generator.dirichlet(np.ones(num_classes), num_videos).astype(np.float32)
    available = ~np.isin(np.arange(num_videos), missing)
    probabilities[~available] = np.nan
    return Scores(
        rows=torch.arange(num_videos),
        labels=torch.tensor(labels),
        probabilities=torch.tensor(probabilities),
        available=torch.tensor(available),
        unreadable=(),
    )


def with_numpy(scores, count_missing):
    seen = scores.available.numpy()
    labels, probabilities = scores.labels.numpy(), scores.probabilities.numpy()
    order = np.argsort(-np.nan_to_num(probabilities, nan=-1), axis=1)
    top1 = (order[:, 0] == labels) & seen
    top5 = (order[:, :5] == labels[:, None]).any(1) & seen
    use = np.ones_like(seen) if count_missing else seen
    classes = np.unique(labels[use])
    return {
        "video_top1": top1[use].mean(),
        "video_top5": top5[use].mean(),
        "video_mean_class": np.mean([top1[use & (labels == c)].mean() for c in classes]),
    }


def test_all_metrics_equal_those_of_numpy():
    scores = make_scores()
    metrics = video_metrics(scores, num_classes=8, protocol="10x3")
    expected = with_numpy(scores, count_missing=True)
    assert metrics == pytest.approx({f"{k}_10x3": v for k, v in expected.items()})


def test_missing_videos_count_as_wrong_and_stand_beside_the_available():
    scores = make_scores(missing=(3, 17, 40))
    metrics = video_metrics(scores, num_classes=8, protocol="1x1")
    listed, available = with_numpy(scores, True), with_numpy(scores, False)
    expected = {f"{k}_1x1": v for k, v in listed.items()}
    expected |= {f"{k}_1x1_listed": v for k, v in listed.items()}
    expected |= {f"{k}_1x1_available": v for k, v in available.items()}
    assert metrics == pytest.approx(expected)
    assert listed["video_top5"] < available["video_top5"]


def test_counts_are_exact():
    scores = make_scores(num_videos=82)
    top1 = video_metrics(scores, num_classes=8, protocol="1x1")["video_top1_1x1"]
    assert top1 * 82 == pytest.approx(round(top1 * 82), abs=1e-9)


def test_top5_is_left_out_where_it_says_nothing():
    metrics = video_metrics(make_scores(num_classes=3), num_classes=3, protocol="1x1")
    assert set(metrics) == {"video_top1_1x1", "video_mean_class_1x1"}


def test_one_class_and_no_available_video():
    one = make_scores(num_classes=2)
    single = Scores(one.rows, one.labels * 0, one.probabilities[:, :1], one.available, ())
    assert video_metrics(single, num_classes=1, protocol="1x1")["video_top1_1x1"] == 1.0
    none = make_scores(num_videos=4, missing=(0, 1, 2, 3))
    metrics = video_metrics(none, num_classes=8, protocol="1x1")
    assert metrics["video_top1_1x1"] == 0.0
    assert np.isnan(metrics["video_top1_1x1_available"])


def test_confusion_counts_available_videos_by_true_and_predicted_class():
    scores = make_scores(missing=(5,))
    counted = confusion(scores, num_classes=8).numpy()
    expected = np.zeros((8, 8), int)
    seen = scores.available.numpy()
    predicted = scores.probabilities.numpy()[seen].argmax(1)
    np.add.at(expected, (scores.labels.numpy()[seen], predicted), 1)
    assert (counted == expected).all()
