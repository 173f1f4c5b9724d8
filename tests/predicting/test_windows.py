import numpy as np
import pytest

from videoclf.predicting.windows import place_windows, shown_frames


def test_the_last_window_ends_with_the_video():
    windows = place_windows(4.5, window_seconds=2, stride_seconds=1)
    assert windows.starts.tolist() == [0, 1, 2, 2.5]
    assert windows.ends.tolist() == [2, 3, 4, 4.5]
    # middles 1, 2, 3, 3.5: each moment belongs to the nearest
    assert windows.bounds.tolist() == [0, 1.5, 2.5, 3.25, 4.5]


def test_windows_that_fit_exactly():
    windows = place_windows(3.0, window_seconds=1.0, stride_seconds=0.1)
    assert len(windows) == 21
    assert windows.ends[-1] == pytest.approx(3.0)


def test_a_short_video_is_one_window():
    windows = place_windows(0.5, window_seconds=2, stride_seconds=1)
    assert (windows.starts.tolist(), windows.window_seconds) == ([0], 0.5)
    assert windows.bounds.tolist() == [0, 0.5]


@pytest.mark.parametrize(("window", "stride", "name"), [(0, 1, "window"), (1, -1, "stride")])
def test_lengths_are_above_zero(window, stride, name):
    with pytest.raises(ValueError, match=f"--{name}=.* must be above 0 seconds"):
        place_windows(4, window_seconds=window, stride_seconds=stride)


def test_frames_of_a_window():
    times = np.array([0.0, 0.5, 1.0, 5.0])
    assert shown_frames(times, 0.5, 1.0) == (1, 2)
    assert shown_frames(times, 0.0, 1.5) == (0, 3)
    assert shown_frames(times, 2.0, 3.0) == (2, 3)  # the frame of 1.0 s still stands
