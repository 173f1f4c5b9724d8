import numpy as np
import pytest

from videoclf.samplers.dense import DenseSampler
from videoclf.samplers.positions import clip_fractions
from videoclf.samplers.segments import SegmentSampler


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ("ends", [0, 1 / 3, 2 / 3, 1]),
        ("without_end", [0, 1 / 4, 1 / 2, 3 / 4]),
        ("centres", [1 / 8, 3 / 8, 5 / 8, 7 / 8]),
    ],
)
def test_fractions(positions, expected):
    np.testing.assert_allclose(clip_fractions(4, positions), expected)
    assert clip_fractions(1, positions).tolist() == [0.5]


def test_unknown_positions_are_refused():
    with pytest.raises(ValueError, match="views.positions='middle' must be one of ends"):
        clip_fractions(2, "middle")


def test_dense_clips_begin_there():
    sampler = DenseSampler(num_frames=16, stride=2, fps=None, padding="last")  # room 69 of 100
    starts = {
        positions: sampler.eval_clips(100, 25.0, 4, positions)[:, 0].tolist()
        for positions in ("ends", "without_end", "centres")
    }
    assert starts["ends"] == sampler.eval_clips(100, 25.0, 4)[:, 0].tolist() == [0, 23, 46, 69]
    assert starts["without_end"] == [0, 17, 34, 51]
    assert starts["centres"] == [8, 25, 43, 60]


def test_segments_are_shifted():
    sampler = SegmentSampler(num_frames=8)  # of 10 frames each
    assert sampler.eval_clips(80, 25.0, 2, "without_end")[:, :2].tolist() == [[0, 10], [5, 15]]
    assert sampler.eval_clips(80, 25.0, 2)[:, :2].tolist() == [[2, 12], [7, 17]]
    # the end of a segment is its last frame
    assert sampler.eval_clips(80, 25.0, 2, "ends")[:, :2].tolist() == [[0, 10], [9, 19]]
