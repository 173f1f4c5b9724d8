import numpy as np
import pytest

from videoclf.predicting.segments import Segment, merge
from videoclf.predicting.subtitles import srt, timestamp, webvtt


def test_neighbours_of_one_label_become_one():
    found = merge(
        np.array([0, 1.5, 2.5, 3.25, 4.5]),
        np.array([1, 1, 0, 1]),
        np.array([0.5, 0.7, 0.9, 0.8], np.float32),
        ["a", "b"],
    )
    assert [(s.start, s.end, s.label) for s in found] == [
        (0, 2.5, "b"),
        (2.5, 3.25, "a"),
        (3.25, 4.5, "b"),
    ]
    assert [s.probability for s in found] == pytest.approx([0.6, 0.9, 0.8])


def test_subtitles():
    segments = [Segment(0, 1.25, "push ups", 0.934), Segment(1.25, 3661.5, "<i> -->\nx", 0.5)]
    assert srt(segments) == (
        "1\n00:00:00,000 --> 00:00:01,250\npush ups 93%\n\n"
        "2\n00:00:01,250 --> 01:01:01,500\n<i> -> x 50%\n"
    )
    assert webvtt(segments) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\npush ups 93%\n\n"
        "00:00:01.250 --> 01:01:01.500\n&lt;i&gt; --&gt; x 50%\n"
    )


def test_milliseconds_are_rounded_and_carried():
    assert timestamp(59.9996, ".") == "00:01:00.000"
