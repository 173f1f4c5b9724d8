"""A whole set of numbers, computed here with NumPy alone, against those of an evaluation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from videoclf.evaluation.metrics import calibration_metrics, video_metrics
from videoclf.evaluation.scores import ShardScores, join, true_class_ranks
from videoclf.evaluation.stored import stored_metrics
from videoclf.reports.analysis import class_scores, confusion_matrix
from videoclf.reports.calibration import calibration
from videoclf.reports.estimates import metric_intervals, views_curve
from videoclf.reports.predictions import Predictions, read_predictions, write_predictions
from videoclf.reports.slices import slices

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


def test_mean_class_counts_missing_videos_as_wrong(predictions):
    metrics = stored_metrics(predictions)
    labels, _ = made_up()
    seen = predictions.available
    right = seen & (np.nan_to_num(predictions.probabilities).argmax(1) == labels)
    recalls = [right[labels == k].mean() for k in range(NUM_CLASSES)]
    assert metrics["val/video_mean_class_4x1"] == pytest.approx(np.mean(recalls))
    recalls = [right[seen & (labels == k)].mean() for k in range(NUM_CLASSES)]
    assert metrics["val/video_mean_class_4x1_available"] == pytest.approx(np.mean(recalls))


def test_classes_and_confusions(predictions):
    labels, _ = made_up()
    seen = predictions.available
    said = np.nan_to_num(predictions.probabilities).argmax(1)
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=int)
    for video in np.flatnonzero(seen):
        matrix[labels[video], said[video]] += 1
    np.testing.assert_array_equal(confusion_matrix(predictions), matrix)
    support = np.bincount(labels, minlength=NUM_CLASSES)
    for each in class_scores(predictions):
        k = predictions.class_names.index(each.name)
        assert each.support == support[k]
        assert each.score == pytest.approx(matrix[k, k] / support[k])


def test_kinds_of_videos(predictions):
    """Accuracy by length: equal parts by quantile, of the evaluated videos."""
    seconds = np.random.default_rng(5).uniform(1, 30, NUM_VIDEOS).astype(np.float32)
    seconds[~predictions.available] = np.nan
    (found,) = slices(replace(predictions, seconds=seconds))
    labels, _ = made_up()
    rows = np.flatnonzero(predictions.available)
    right = predictions.probabilities[rows].argmax(1) == labels[rows]
    order = np.argsort(seconds[rows])
    parts = np.array_split(order, 5)
    assert [part.support for part in found.parts] == pytest.approx([59] * 3 + [60] * 2, abs=1)
    assert sum(part.support for part in found.parts) == len(rows)
    for part, inside in zip(found.parts, parts, strict=True):
        assert part.score == pytest.approx(right[inside].mean(), abs=0.02)


def test_mean_average_precision(predictions):
    """Several labels: precision at each video found, averaged, class by class."""
    generator = np.random.default_rng(9)
    hot = generator.random((NUM_VIDEOS, NUM_CLASSES)) < 0.2
    probabilities = (0.6 * generator.random(hot.shape) + 0.4 * hot).astype(np.float32)
    many = replace(
        predictions,
        labels=[tuple(np.flatnonzero(row).tolist()) for row in hot],
        probabilities=probabilities,
        multi_label=True,
        ranks=None,
        protocol={**predictions.protocol, "activation": "sigmoid"},
    )
    seen = predictions.available

    def precision(k):
        ranked = hot[seen, k][np.argsort(-probabilities[seen, k])]
        return np.mean([ranked[: n + 1].mean() for n in np.flatnonzero(ranked)])

    found = stored_metrics(many)
    every = [precision(k) for k in range(NUM_CLASSES)]
    assert found["val/video_map_4x1_available"] == pytest.approx(np.mean(every), abs=1e-6)
    listed = [each * hot[seen, k].sum() / hot[:, k].sum() for k, each in enumerate(every)]
    assert found["val/video_map_4x1"] == pytest.approx(np.mean(listed), abs=1e-6)
    for each in class_scores(many):
        assert each.score == pytest.approx(every[many.class_names.index(each.name)], abs=1e-6)
