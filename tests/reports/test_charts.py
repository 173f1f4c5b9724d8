import base64
import io
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from videoclf.reports.charts import MAX_POINTS, Series, line_chart, matrix_png, ticks
from videoclf.reports.curves import learning_curves


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1234, [0, 500, 1000, 1500]),
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (0.0, 0.0, [0, 0.25, 0.5, 0.75, 1]),
        (-1, 2, [-1, 0, 1, 2]),
        (0, 3e-4, [0, 1e-4, 2e-4, 3e-4]),
    ],
)
def test_ticks_are_round_and_cover(low, high, expected):
    assert ticks(low, high, 5) == pytest.approx(expected)


@pytest.mark.parametrize("num", [0, 1, 2, 70, 5000])
@pytest.mark.parametrize("value", [0.0, 1e-6, 1.0, -3.0, 1e9])
def test_a_chart_is_well_formed_whatever_the_values(num, value):
    points = [(float(x), value * (1 + x)) for x in range(num)]
    text = line_chart("loss", [Series("a", points, "train", noisy=True)], "steps", False)
    figure = ET.fromstring(str(text))
    for line in figure.iter("polyline"):
        places = [float(p) for pair in line.get("points").split() for p in pair.split(",")]
        assert len(places) <= 2 * MAX_POINTS
        assert all(-1e-6 <= p <= 100 + 1e-6 for p in places)


def test_points_lie_where_they_should():
    chart = line_chart("top-1", [Series("val", [(0, 0.0), (5, 0.25), (10, 1.0)], "val")], "x", True)
    assert 'points="0,100 50,75 100,0"' in chart


def test_values_that_are_not_finite_are_said():
    points = [(1.0, 2.0), (2.0, math.nan), (3.0, math.inf)]
    assert "2 values were not finite" in line_chart("l", [Series("a", points, "val")], "x", False)


def test_names_are_escaped():
    chart = line_chart("<b>", [Series("<script>", [(0, 1)], "val", "<i>")], "<u>", False)
    assert not re.search(r"<(b|script|u)>|<i>(?!</i>)", chart)


def test_a_matrix_becomes_a_picture():
    shares = np.array([[0.5, 0.25], [0.0, 1.0]])
    address = matrix_png(shares, (0, 0, 255), (255, 0, 0), min_pixels=5)
    assert address.startswith("data:image/png;base64,")
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))
    assert picture.shape == (6, 6, 4)
    assert tuple(picture[5, 5]) == (0, 0, 255, 255)
    assert picture[0, 5, 3] == int(0.75 * 255)
    assert tuple(picture[0, 5, :3]) == (255, 0, 0)
    assert picture[5, 0, 3] == 0


def test_train_and_val_share_a_chart():
    metrics = {
        "epoch": [(1, 0.0), (2, 1.0)],
        "time_seconds": [(1, 3.0)],
        "train/grad_norm": [(1, 3.0)],
        "lr-AdamW/pg1": [(1, 1e-3)],
        "train/clip_top1": [(1, 0.1), (2, 0.4)],
        "val/video_top1_1x1": [(1, 0.3), (2, 0.2)],
        "train/loss": [(1, 2.0)],
        "test/video_top1_1x1": [(2, 0.2)],
    }
    curves = learning_curves(metrics, num_shown=2)
    titles = [re.search("<h3>(.*?)</h3>", c)[1] for c in curves.main + curves.more]
    assert titles == ["loss", "top-1", "learning rate", "grad norm"]
    assert len(curves.main) == 2
    assert "train clips" in curves.main[1]
    assert "best 0.300" in curves.main[1]
    assert "2 epochs" in curves.main[1]


def test_curves_of_a_validation_with_unreadable_videos_are_told_apart():
    points = [(1, 0.25), (2, 0.5)]
    names = ("video_top1_1x1", "video_top1_1x1_listed", "video_top1_1x1_available")
    (chart,) = learning_curves({f"val/{name}": points for name in names}).main
    assert chart.count("<li ") == 2  # the listed ones are the plain ones
    assert "val videos 1\u00d71, readable ones" in chart


def test_no_metrics_no_charts():
    curves = learning_curves({})
    assert curves.main == curves.more == ()
