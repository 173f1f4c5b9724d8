from xml.etree import ElementTree as ET

import numpy as np

from videoclf.predicting.segments import Segment
from videoclf.predicting.timeline_picture import clock, draw

SVG = "{http://www.w3.org/2000/svg}"


def picture(num_windows, names=("walk", "<run>"), label="walk"):
    middles = np.linspace(1, 99, num_windows)
    values = np.linspace(0, 1, num_windows)
    return draw(
        title="a & b.mp4",
        subtitle="2 windows",
        middles=middles,
        curves=[(name, values) for name in names],
        segments=[Segment(0, 60, label, 0.9), Segment(60, 100, "rare", 0.4)],
        duration_seconds=100,
    )


def test_names_stay_text_and_labels_are_written():
    root = ET.fromstring(picture(50))
    words = [each.text for each in root.iter(f"{SVG}text")]
    assert {"a & b.mp4", "<run>", "walk", "rare", "other classes", "0:00", "1:40"} <= set(words)
    paths = [each.get("d") for each in root.iter(f"{SVG}path") if each.get("stroke-width")]
    assert [path.count("L") for path in paths] == [49, 49]


def test_many_windows_are_drawn_as_means_and_one_as_a_line():
    paths = list(ET.fromstring(picture(5000)).iter(f"{SVG}path"))
    assert max(path.get("d").count("L") for path in paths) == 599
    single = list(ET.fromstring(picture(1)).iter(f"{SVG}path"))
    assert sum("H688" in path.get("d") for path in single) == 2


def test_clock():
    assert [clock(s) for s in (0, 7, 0.4, 750, 3723)] == [
        "0:00",
        "0:07",
        "0:00.4",
        "12:30",
        "1:02:03",
    ]
