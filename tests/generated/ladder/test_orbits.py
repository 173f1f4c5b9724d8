"""What the theorems rest on: which clips hold the same frames, and what single frames say."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from videoclf.generated.encode import encode_frames
from videoclf.generated.ladder.counting import LIT_FRAMES, lit_frames
from videoclf.generated.ladder.shell_game import TEST_SWAPS, TRAIN_SWAPS, draw_swaps, final_place
from videoclf.generated.ladder.travel import SPEEDS, places
from videoclf.generated.ladder.videos import TASKS
from videoclf.readers.pyav import PyavReader


def frames_of(clip):
    return Counter(frame.tobytes() for frame in clip)


@pytest.mark.parametrize("subset", ["train", "test"])
@pytest.mark.parametrize(
    "task", ["motion_direction", "speed", "counting", "event_order", "time_shift", "shell_game"]
)
def test_all_classes_of_an_orbit_hold_the_same_frames(orbit, task, subset):
    if task == "shell_game" and subset == "train":
        pytest.skip("training clips have other swaps in each class: only test clips are orbits")
    for number in range(4):
        clips = list(orbit(task, number, subset).values())
        assert len({clip.tobytes() for clip in clips}) == len(clips)
        assert len({frozenset(frames_of(clip).items()) for clip in clips}) == 1


@pytest.mark.parametrize(
    ("task", "one", "other"),
    [("motion_direction", "right", "left"), ("motion_only", "right", "left")],
)
def test_a_class_is_another_backwards(orbit, task, one, other):
    for number in range(3):
        clips = orbit(task, number)
        np.testing.assert_array_equal(clips[one], clips[other][::-1])


def test_up_is_down_backwards(orbit):
    clips = orbit("motion_only", 1)
    np.testing.assert_array_equal(clips["up"], clips["down"][::-1])


@pytest.mark.parametrize("velocity", [sign * speed for speed in SPEEDS for sign in (1, -1)])
def test_travel_visits_the_same_places_and_each_frame_alone_is_uniform(velocity):
    every = np.array([places(velocity, start) for start in range(48)])  # (48, 16)
    for row in every:
        assert len(set(row.tolist())) == 16
    for column in every.T:  # over all starts, a frame's place is uniform whatever the velocity
        assert sorted(column.tolist()) == list(range(48))
    steps = np.diff(places(velocity, 0)) % 48
    assert set(steps.tolist()) == {3 * velocity % 48}


def test_the_light_is_on_for_six_frames_in_as_many_runs_as_said():
    generator = np.random.default_rng(0)
    for num_runs in (1, 2, 3, 4):
        for _ in range(20):
            lit = lit_frames(generator, num_runs=num_runs, num_frames=16)
            assert lit.sum() == LIT_FRAMES
            assert not lit[0]
            assert not lit[-1]
            assert (np.diff(lit.astype(int)) == 1).sum() == num_runs


def test_swaps_bring_the_ball_where_the_class_says():
    generator = np.random.default_rng(0)
    for counts in (TRAIN_SWAPS, TEST_SWAPS):
        for _ in range(50):
            ball, ways = draw_swaps(generator, counts)
            assert [final_place(ball, way) for way in ways] == [0, 1, 2]
            assert len(ways[0]) in counts
            if counts == TEST_SWAPS:
                assert len({tuple(sorted(way.tolist())) for way in ways}) == 1
    assert final_place(0, np.array([0, 1])) == 2  # left <-> middle, then middle <-> right
    assert final_place(0, np.array([1, 0])) == 1


def test_trembling_texture_moves_by_one_pixel_along_its_axis(orbit):
    for name, axis in (("horizontal", 1), ("vertical", 0)):
        clip = orbit("fine_motion", 2)[name]
        steps = set()
        for before, after in pairwise(clip):
            steps |= {s for s in (-1, 1) if np.array_equal(np.roll(before, s, axis), after)}
        assert steps == {-1, 1}


def test_disc_and_ground_move_together_only_along(orbit):
    for number in range(3):
        clips = orbit("relative_motion", number)
        moved = {}
        for name, clip in clips.items():
            moved[name] = [
                way
                for way in (-2, -1, 1, 2)
                if all(
                    np.array_equal(np.roll(before, way, axis=1), after)
                    for before, after in pairwise(clip)
                )
            ]
        assert len(moved["along"]) == 1
        assert moved["against"] == []


def test_the_shortcut_helps_until_the_test(orbit):
    def colours(subset, agreement):
        found = []
        for number in range(40):
            for name, clip in orbit("shortcut", number, subset, agreement=agreement).items():
                red, green = clip[..., 0].max(), clip[..., 1].max()
                found.append((name == "right") == bool(red > green))
        return np.mean(found)

    assert colours("train", 1.0) == 1.0
    assert colours("test", 1.0) == 0.0
    assert 0.35 < colours("train", 0.5) < 0.65


def test_control_draws_other_clips_for_other_classes(orbit):
    clips = orbit("control", 0)
    assert frames_of(clips["heads"]) != frames_of(clips["tails"])


def test_time_shift_trains_on_one_half_and_tests_on_the_other(orbit):
    for shift, late in (("later", "test"), ("earlier", "train")):
        for subset in ("train", "test"):
            for number in range(8):
                clip = orbit("time_shift", number, subset, shift=shift)["red_first"]
                lit = [t for t, frame in enumerate(clip) if frame.std(axis=(0, 1)).max() > 1]
                assert len(lit) == 2
                assert lit[1] - lit[0] == 2
                half = lit if subset != late else [t - 12 for t in lit]
                assert 3 <= min(half) <= max(half) <= 8  # and symmetric: reversal keeps the range


@pytest.mark.parametrize("task", TASKS)
def test_a_decoded_frame_depends_on_its_source_alone(orbit, ladder, tmp_path, task):
    clip = next(iter(orbit(task, 0).values()))
    order = np.random.default_rng(0).permutation(len(clip))
    decoded = []
    for name, frames in (("plain", clip), ("permuted", clip[order])):
        path = tmp_path / f"{name}.mp4"
        lossless = ladder(task).lossless
        path.write_bytes(encode_frames(frames, frames_per_second=25, lossless=lossless))
        with PyavReader(str(path)) as reader:
            decoded.append(reader.frames(np.arange(len(clip))))
    np.testing.assert_array_equal(decoded[0][order], decoded[1])
    if ladder(task).lossless:
        np.testing.assert_array_equal(decoded[0], clip)
