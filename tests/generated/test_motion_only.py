from collections import Counter

import numpy as np
import pytest

from videoclf.generated.motion_only import MotionOnly, draw_dots
from videoclf.readers.pyav import PyavReader

CLASSES = ("left", "right", "up", "down")


@pytest.fixture
def make_dots(tmp_path):
    def make(**changes):
        values = {
            "root": str(tmp_path / "dots"),
            "reader": "pyav",
            "modalities": ("rgb",),
            "flow_folder": None,
            "flow_method": "dis",
            "flow_bound_pixels": 20.0,
            "batch_size": 4,
            "clips_per_video": 1,
            "num_workers": 0,
            "seconds_per_file": None,
            "directional": True,
            "max_unreadable": 0,
            "verify_hashes": "once",
            "num_classes": None,
            "class_names": None,
            "num_train": 8,
            "num_val": 4,
            "num_test": 4,
            "num_frames": 10,
            "size_pixels": 32,
            "seed": 0,
        }
        return MotionOnly(**{**values, **changes})

    return make


def clips(dots, number):
    return {name: dots.draw(f"train/{name}/{number:05d}.mp4")[..., 0] for name in CLASSES}


def test_left_is_right_backwards_and_down_is_right_transposed(make_dots):
    drawn = clips(make_dots(), 3)
    np.testing.assert_array_equal(drawn["left"], drawn["right"][::-1])
    np.testing.assert_array_equal(drawn["up"], drawn["down"][::-1])
    np.testing.assert_array_equal(drawn["down"], drawn["right"].swapaxes(1, 2))
    assert len({clip.tobytes() for clip in drawn.values()}) == 4


@pytest.mark.parametrize(
    ("name", "axis", "sign"), [("right", 2, 1), ("left", 2, -1), ("down", 1, 1)]
)
def test_most_pixels_move_by_the_same_whole_number(make_dots, name, axis, sign):
    speeds = Counter()
    for number in range(12):
        clip = clips(make_dots(size_pixels=64), number)[name]
        same = {
            step: (np.roll(clip[:-1], step, axis) == clip[1:])[clip[1:] != 128].mean()
            for step in range(-5, 6)
        }
        best = max(same, key=same.get)
        speeds[best] += 1
        assert same[best] > 0.6
        assert sorted(same.values())[-2] < 0.45  # half of a dot overlaps itself
    assert set(speeds) == {sign, 2 * sign, 3 * sign}


def test_no_dot_outlives_six_frames():
    frames = draw_dots(np.random.default_rng(0), num_frames=9, size_pixels=64)
    moved = [
        max((np.roll(frames[0], step * life, 1) == frames[life]).mean() for step in (1, 2, 3))
        for life in (1, 5, 6, 7)
    ]
    chance = moved[-1]
    assert moved[0] > 0.8
    assert moved[1] > chance + 0.03  # a sixth still lives
    assert abs(moved[2] - chance) < 0.03


def test_every_frame_of_every_class_has_the_same_distribution(make_dots):
    dots = make_dots(size_pixels=32, num_frames=7)
    shades = {name: np.zeros((7, 256)) for name in CLASSES}
    covered = {name: np.zeros((7, 32, 32)) for name in CLASSES}
    num_clips = 150
    for number in range(num_clips):
        for name, clip in clips(dots, number).items():
            for time, frame in enumerate(clip):
                shades[name][time] += np.bincount(frame.ravel(), minlength=256)
            covered[name] += clip != 128
    share = np.stack(list(shades.values())) / (num_clips * 1024)
    assert abs(share - share.mean((0, 1))).max() < 0.005
    expected = 1 - (1 - 4 / 1024) ** 128  # 128 dots of 4 pixels
    where = np.stack(list(covered.values())) / num_clips
    assert abs(where - expected).max() < 5 * np.sqrt(expected * (1 - expected) / num_clips)
    assert abs(where.mean((2, 3)) - expected).max() < 0.01


def test_files_keep_every_pixel(make_dots):
    dots = make_dots()
    manifest = dots.manifest()
    assert manifest.counts() == {"train": 8, "val": 4, "test": 4}
    assert manifest.class_names == CLASSES
    for path in manifest.table["path"].to_pylist()[:4]:
        with PyavReader(str(dots.folder() / path)) as reader:
            read = reader.frames(np.arange(10))
        np.testing.assert_array_equal(read, dots.draw(path))


def test_mirroring_is_refused(make_dots):
    with pytest.raises(ValueError, match="data.directional=false would mirror clips"):
        make_dots(directional=False)
