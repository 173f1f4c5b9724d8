from dataclasses import replace

import numpy as np
import pytest

from videoclf.reports.slices import slices


def test_parts_of_equal_size_by_length(make_predictions):
    # videos 0, 4, 8, ... are wrong; each of two parts of ten has its own share of them
    seconds = np.arange(20, dtype=np.float32)
    (found,) = slices(replace(make_predictions(20), seconds=seconds))
    assert found.title == "By length"
    assert [(part.name, part.support) for part in found.parts] == [
        ("0.0 s to 9.5 s", 10),
        ("9.5 s to 19.0 s", 10),
    ]
    assert [part.score for part in found.parts] == pytest.approx([0.7, 0.8])


def test_missing_videos_are_left_out_and_equal_values_are_not_cut(make_predictions):
    made = make_predictions(20, missing=(0,))
    seconds = np.where(made.available, np.arange(20), np.nan).astype(np.float32)
    same = np.where(made.available, 0.1, np.nan).astype(np.float32)
    (found,) = slices(replace(made, seconds=seconds, motion=same))
    assert sum(part.support for part in found.parts) == 19


def test_a_few_videos_say_nothing_of_kinds(make_predictions):
    assert slices(replace(make_predictions(9), seconds=np.arange(9, dtype=np.float32))) == ()
    assert slices(make_predictions(20)) == ()
