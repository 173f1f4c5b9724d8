import numpy as np
import pytest

from videoclf.samplers.segments import SegmentSampler


def test_one_evaluation_clip_takes_the_middle_of_each_segment():
    clip = SegmentSampler(num_frames=8).eval_clips(80, 25.0, 1)
    assert clip.tolist() == [[5, 15, 25, 35, 45, 55, 65, 75]]


def test_more_clips_take_shifted_places():
    clips = SegmentSampler(num_frames=8).eval_clips(80, 25.0, 2)
    assert clips[:, 0].tolist() == [2, 7]


def test_training_draws_one_frame_from_each_segment():
    generator = np.random.default_rng(0)
    clips = np.stack(
        [SegmentSampler(num_frames=4).train_clip(40, 25.0, generator) for _ in range(300)]
    )
    assert (clips // 10 == np.arange(4)).all()
    assert set(clips[:, 0]) == set(range(10))


def test_a_video_shorter_than_the_clip_repeats_frames():
    assert SegmentSampler(num_frames=4).eval_clips(2, 25.0, 1).tolist() == [[0, 0, 1, 1]]


def test_wrong_values_are_refused():
    with pytest.raises(ValueError, match="sampler.num_frames=0 must be at least 1"):
        SegmentSampler(num_frames=0)
    with pytest.raises(ValueError, match="a video of 0 frames"):
        SegmentSampler(num_frames=4).eval_clips(0, 25.0, 1)
