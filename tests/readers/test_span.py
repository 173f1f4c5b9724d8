import numpy as np
import pytest

from videoclf.errors import UnreadableVideoError
from videoclf.readers.span import frame_span

TIMES = np.arange(60) / 25


@pytest.mark.parametrize(
    ("start", "end", "span"),
    [
        (None, None, (0, 60)),
        (0.0, 1.0, (0, 25)),
        (1.0, 2.0, (25, 50)),
        (0.99, 1.01, (25, 26)),
        (2.0, None, (50, 60)),
        (None, 0.04, (0, 1)),
        (0.0, 99.0, (0, 60)),
        (1.0 - 1e-9, 2.0 + 1e-9, (25, 50)),  # as rounded times have it
    ],
)
def test_the_range_is_half_open(start, end, span):
    assert frame_span("a.mp4", TIMES, start, end) == span


@pytest.mark.parametrize(
    ("start", "end", "between"),
    [(5.0, 6.0, "5 s and 6 s"), (5.0, None, "5 s and its end"), (None, 0.0, "0 s and 0 s")],
)
def test_no_frame_between(start, end, between):
    with pytest.raises(
        UnreadableVideoError, match=f"no frame between {between}; it is 2.36 s long"
    ) as caught:
        frame_span("a.mp4", TIMES, start, end)
    assert caught.value.path == "a.mp4"
