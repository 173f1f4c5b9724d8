"""A whole set of numbers, computed here with NumPy alone, against those of an evaluation."""

import numpy as np
import pytest
import torch

from videoclf.evaluation.metrics import calibration_metrics, video_metrics
from videoclf.evaluation.scores import ShardScores, join, true_class_ranks
from videoclf.evaluation.stored import stored_metrics
from videoclf.reports.calibration import calibration
from videoclf.reports.estimates import metric_intervals, views_curve
from videoclf.reports.predictions import Predictions, read_predictions, write_predictions

NUM_VIDEOS, NUM_CLASSES, NUM_CLIPS = 300, 12, 4
MISSING = (7, 20, 111)


def made_up():
    """Return labels (N,), float32 views (N, clips, K) of a network that is right now and then."""
    generator = np.random.default_rng(3)
    labels = generator.integers(0, NUM_CLASSES, NUM_VIDEOS)
    logits = generator.normal(size=(NUM_VIDEOS, NUM_CLIPS, NUM_CLASSES))
    logits[np.arange(NUM_VIDEOS), :, labels] += 1.2
    views = np.exp(2 * logits) / np.exp(2 * logits).sum(2, keepdims=True)
    return labels, views.astype(np.float32)


@pytest.fixture
def predictions():
    labels, views = made_up()
    prefixes = np.stack([views[:, : n + 1].mean(1) for n in range(NUM_CLIPS)], axis=1)
    wide = np.repeat(labels[:, None], NUM_CLIPS, axis=1)
    ranks = true_class_ranks(torch.tensor(prefixes), torch.tensor(wide)).numpy()
    available = ~np.isin(np.arange(NUM_VIDEOS), MISSING)
    probabilities = np.where(available[:, None], views.mean(1), np.nan)
    return Predictions(
        paths=[f"{n}.mp4" for n in range(NUM_VIDEOS)],
        starts=[None] * NUM_VIDEOS,
        ends=[None] * NUM_VIDEOS,
        labels=[(int(label),) for label in labels],
        probabilities=probabilities,
        available=available,
        class_names=tuple("abcdefghijkl"),
        protocol={"subset": "val", "num_clips": 4, "num_crops": 1, "average": "probabilities"},
        manifest_sha256="0",
        groups=[f"scene {n // 10}" for n in range(NUM_VIDEOS)],
        ranks=np.where(available[:, None], ranks, -1).astype(np.int32),
    )


def golden(labels, probabilities):
    """Return the numbers of videos that are all there."""
    order = np.argsort(-probabilities, axis=1)
    top1 = order[:, 0] == labels
    confidence = probabilities.max(1)
    error = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            error += inside.sum() * abs(top1[inside].mean() - confidence[inside].mean())
    return {
        "video_top1_4x1": top1.mean(),
        "video_top5_4x1": (order[:, :5] == labels[:, None]).any(1).mean(),
        "video_mean_class_4x1": np.mean([top1[labels == k].mean() for k in range(NUM_CLASSES)]),
        "video_ece_4x1": error / len(labels),
    }


def test_metrics_of_joined_shards():
    labels, views = made_up()
    probabilities = views.mean(1)
    rows = np.arange(NUM_VIDEOS)
    shards = [
        ShardScores(torch.tensor(rows[r::3]), torch.tensor(probabilities[r::3]), ())
        for r in range(3)
    ]
    scores = join(shards, rows=rows, labels=labels, num_classes=NUM_CLASSES)
    found = video_metrics(scores, num_classes=NUM_CLASSES, protocol="4x1")
    found |= calibration_metrics(scores, num_classes=NUM_CLASSES, protocol="4x1")
    assert found == pytest.approx(golden(labels, probabilities), abs=1e-6)


def test_metrics_of_stored_predictions(predictions, tmp_path):
    write_predictions(tmp_path / "p.parquet", predictions)
    found = stored_metrics(read_predictions(tmp_path / "p.parquet"))
    labels, views = made_up()
    seen = predictions.available
    available = golden(labels[seen], views.mean(1)[seen])
    assert found["val/video_ece_4x1"] == pytest.approx(available["video_ece_4x1"], abs=1e-6)
    for name in ("video_top1_4x1", "video_top5_4x1"):
        assert found[f"val/{name}_available"] == pytest.approx(available[name])
        listed = available[name] * seen.sum() / NUM_VIDEOS
        assert found[f"val/{name}"] == found[f"val/{name}_listed"] == pytest.approx(listed)


def test_the_diagram_adds_up_to_the_calibration_error(predictions):
    found = calibration(predictions)
    assert found.error == pytest.approx(stored_metrics(predictions)["val/video_ece_4x1"], abs=1e-6)
    assert sum(each.count for each in found.bins) == found.total == NUM_VIDEOS - len(MISSING)


def test_intervals_by_group_hold_the_number_and_are_those_of_a_plain_bootstrap(predictions):
    names = ["val/video_top1_4x1", "val/video_top1_4x1_available", "val/video_ece_4x1"]
    found = metric_intervals(predictions, names)
    assert set(found) == set(names[:2])
    hits = (predictions.probabilities.argmax(1) == [label for (label,) in predictions.labels]) & (
        predictions.available
    )
    by_scene = hits.reshape(30, 10).mean(1)  # all of one size
    generator = np.random.default_rng(1)
    draws = by_scene[generator.integers(0, 30, (4000, 30))].mean(1)
    expected = tuple(np.quantile(draws, (0.025, 0.975)))
    assert found[names[0]] == pytest.approx(expected, abs=0.01)


def test_the_curve_ends_at_the_whole_protocol(predictions):
    curve = views_curve(predictions)
    metrics = stored_metrics(predictions)
    assert [point["num_clips"] for point in curve] == [1, 2, 3, 4]
    assert curve[-1]["top1"] == pytest.approx(metrics["val/video_top1_4x1"])
    assert curve[-1]["top5"] == pytest.approx(metrics["val/video_top5_4x1"])
    labels, views = made_up()
    first = (views[:, 0].argmax(1) == labels) & predictions.available
    assert curve[0]["top1"] == pytest.approx(first.mean())
    assert curve[0]["top1"] < curve[-1]["top1"]
