import numpy as np
import pytest

from videoclf.samplers.dense import DenseSampler


def dense(**changes):
    settings = {"num_frames": 4, "stride": 2, "fps": None, "padding": "last"}
    return DenseSampler(**{**settings, **changes})


def test_one_evaluation_clip_lies_in_the_middle():
    # span 7 of 20 frames leaves 13 to move in, the middle start is 6.5
    assert dense().eval_clips(20, 25.0, 1).tolist() == [[6, 8, 10, 12]]


def test_evaluation_clips_reach_from_the_first_to_the_last_frame():
    clips = dense(num_frames=16).eval_clips(100, 25.0, 4)
    assert clips[:, 0].tolist() == [0, 23, 46, 69]
    assert clips[-1, -1] == 99


@pytest.mark.parametrize(("fps", "last"), [(30.0, 6), (15.0, 3), (60.0, 12)])
def test_a_frame_rate_gives_the_same_seconds_of_any_video(fps, last):
    clip = dense(stride=None, fps=15.0).eval_clips(last + 1, fps, 1)[0]
    assert clip[0] == 0
    assert clip[-1] == last


def test_ntsc_rates_do_not_lose_a_frame_to_rounding():
    clip = dense(num_frames=30, stride=None, fps=30000 / 1001).eval_clips(30, 30000 / 1001, 1)[0]
    assert clip.tolist() == list(range(30))


def test_training_clips_are_uniform_over_all_starts():
    sampler, generator = dense(), np.random.default_rng(0)
    starts = [int(sampler.train_clip(10, 25.0, generator)[0]) for _ in range(600)]
    # span 7 of 10 frames: real starts in [0, 3), a third each
    assert np.bincount(starts).tolist() == pytest.approx([200, 200, 200], abs=40)


def test_training_depends_on_the_generator_alone():
    first = dense().train_clip(50, 25.0, np.random.default_rng(7))
    assert first.tolist() == dense().train_clip(50, 25.0, np.random.default_rng(7)).tolist()


@pytest.mark.parametrize(("padding", "expected"), [("last", [0, 2, 2, 2]), ("loop", [0, 2, 1, 0])])
def test_short_videos_are_padded(padding, expected):
    assert dense(padding=padding).eval_clips(3, 25.0, 1).tolist() == [expected]


def test_a_video_of_one_frame_works():
    assert dense().eval_clips(1, 25.0, 2).tolist() == [[0] * 4] * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": 0}, "sampler.num_frames=0 must be at least 1"),
        ({"stride": None}, "set exactly one of them"),
        ({"fps": 5.0}, "set exactly one of them"),
        ({"stride": 0}, "sampler.stride=0 must be above 0"),
        ({"stride": None, "fps": -1.0}, "sampler.fps=-1.0 must be above 0"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dense(**changes)


def test_wrong_padding_is_refused():
    with pytest.raises(ValueError, match="sampler.padding='mirror' must be 'last' or 'loop'"):
        dense(padding="mirror").eval_clips(3, 25.0, 1)
