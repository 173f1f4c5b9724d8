"""Metrics of redrawn test lists equal those of the evaluation where the list is drawn as it is."""

import numpy as np
import pytest

from videoclf.reports.predictions import Predictions
from videoclf.reports.statistics import statistic_of, top_hits


def predictions(probabilities, labels, available=None, **more):
    count = len(labels)
    return Predictions(
        paths=[str(n) for n in range(count)],
        starts=[None] * count,
        ends=[None] * count,
        labels=labels,
        probabilities=np.array(probabilities, dtype=np.float32),
        available=np.ones(count, dtype=bool) if available is None else np.array(available),
        class_names=("a", "b", "c"),
        protocol={},
        manifest_sha256="0",
        **more,
    )


THREE = predictions(
    [[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5], [np.nan] * 3],
    [(0,), (1,), (2,), (2,)],
    [True, True, True, False],
)
EVERY = np.arange(4)


def test_a_missing_video_is_wrong():
    assert top_hits(THREE, 1).tolist() == [True, False, True, False]
    assert statistic_of(THREE, "test/video_top1_1x1")(EVERY) == 0.5
    assert statistic_of(THREE, "test/video_top2_1x1")(EVERY) == 0.75
    assert statistic_of(THREE, "test/video_top1_1x1_listed")(np.array([0, 0, 3])) == pytest.approx(
        2 / 3
    )


def test_mean_class_is_over_the_classes_that_were_drawn():
    mean_class = statistic_of(THREE, "test/video_mean_class_1x1")
    assert mean_class(EVERY) == pytest.approx((1 + 0 + 0.5) / 3)
    assert mean_class(np.array([0, 2])) == 1.0


def test_mean_average_precision():
    several = predictions(
        [[0.9, 0.2, 0.1], [0.8, 0.6, 0.1], [0.7, 0.1, 0.1]], [(0,), (1,), (0, 1)], multi_label=True
    )
    statistic = statistic_of(several, "test/video_map_1x1")
    # class a: ranks 1 and 3 of its two positives; class b: ranks 1 and 3; class c has none
    assert statistic(np.arange(3)) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(
        statistic_of(predictions([[1, 0, 0]], [()], multi_label=True), "test/video_map_1x1")(
            np.array([0])
        )
    )


@pytest.mark.parametrize(
    "name", ["test/clip_top1", "test/video_top1_1x1_available", "test/video_x_1x1"]
)
def test_what_cannot_be_redrawn(name):
    assert statistic_of(THREE, name) is None
