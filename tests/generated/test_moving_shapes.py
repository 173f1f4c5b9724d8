import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from videoclf.generated import draw as draw_module
from videoclf.generated.moving_shapes import MOTIONS, sample_clip

PAIRS = [MOTIONS[start : start + 2] for start in range(0, 8, 2)]


def circles(motion, num_clips, num_frames=5):
    """Return x, y, angle and log-size of many clips in turns, float (4, N, T)."""
    states = [sample_clip((0, 0, n), motion, num_frames)[1] for n in range(num_clips)]
    turns = [
        (s.x, s.y, s.angle / (2 * np.pi), np.log(s.radius / 0.16) / np.log(0.38 / 0.16))
        for s in states
    ]
    return np.array(turns).transpose(1, 0, 2)


@pytest.mark.parametrize("motion", MOTIONS)
def test_in_every_frame_of_every_class_all_is_uniform(motion):
    num_clips = 500
    values = np.sort(circles(motion, num_clips), axis=1)
    uniform = (np.arange(num_clips) + 0.5) / num_clips
    # Kolmogorov and Smirnov: exceeded by chance once in a million
    assert abs(values - uniform[None, :, None]).max() < 2.7 / np.sqrt(num_clips)


def test_position_angle_and_size_are_independent():
    for motion in MOTIONS:
        values = circles(motion, 300, num_frames=2)
        for frame in (0, 1):
            waves = np.exp(2j * np.pi * values[:, :, frame])
            pairs = abs(waves @ waves.T.conj()) / 300
            assert (pairs - np.eye(4)).max() < 0.2, motion


@pytest.mark.parametrize("motion", MOTIONS)
def test_exactly_one_moves_and_within_its_speeds(motion):
    axis = MOTIONS.index(motion) // 2
    steps = np.diff(circles(motion, 100, 9), axis=2)
    steps = (steps + 0.5) % 1 - 0.5
    still = [other for other in range(4) if other != axis]
    assert abs(steps[still]).max() < 1e-9
    sign = -1 if motion in ("left", "up", "anticlockwise", "shrink") else 1
    shift, turn, growth = (1.5 / 64, 2.5 / 64), (10 / 360, 15 / 360), (1 / 22, 1 / 15)
    slowest, fastest = (shift, shift, turn, growth)[axis]
    assert slowest - 1e-9 <= (sign * steps[axis]).min()
    assert (sign * steps[axis]).max() <= fastest + 1e-9


@pytest.mark.parametrize("num_frames", [5, 8])
def test_each_class_is_its_opposite_backwards(make_shapes, num_frames):
    shapes = make_shapes(num_frames=num_frames)
    for one, opposite in PAIRS:
        for number in range(4):
            first = shapes.draw(f"train/{one}/{number:05d}.mp4")
            second = shapes.draw(f"train/{opposite}/{number:05d}.mp4")
            np.testing.assert_array_equal(first, second[::-1])
            assert (first != second).any()


def test_all_classes_share_the_middle_frame(make_shapes):
    shapes = make_shapes(num_frames=5)
    for number in range(4):
        clips = [shapes.draw(f"val/{motion}/{number:05d}.mp4") for motion in MOTIONS]
        for clip in clips:
            np.testing.assert_array_equal(clip[2], clips[0][2])
        assert len({clip[3].tobytes() for clip in clips}) == 8


def test_splits_are_balanced_and_share_no_clip(make_shapes):
    shapes = make_shapes()
    manifest = shapes.manifest()
    assert manifest.class_names == MOTIONS
    assert manifest.counts() == {"train": 16, "val": 8, "test": 8}
    rows = manifest.table.to_pylist()
    counts = Counter((row["subset"], row["labels"][0]) for row in rows)
    assert counts == {
        (subset, label): count
        for subset, count in (("train", 2), ("val", 1), ("test", 1))
        for label in range(8)
    }
    for row in rows:
        subset, motion, _ = row["path"].split("/")
        assert (subset, motion) == (row["subset"], MOTIONS[row["labels"][0]])
        assert row["group"] is None
    files = [(shapes.folder() / row["path"]).read_bytes() for row in rows]
    assert len(set(files)) == 32


def test_a_second_start_draws_nothing_and_a_lost_file_comes_back(make_shapes, tmp_path, capsys):
    shapes = make_shapes(root=str(tmp_path / "shapes"))
    shapes.manifest()
    capsys.readouterr()
    lost = shapes.folder() / "test" / "grow" / "00000.mp4"
    before = lost.read_bytes()
    assert shapes.manifest().sha256 == make_shapes().manifest().sha256
    assert capsys.readouterr().err == ""
    lost.unlink()
    shapes.manifest()
    assert "32/32" in capsys.readouterr().err
    assert lost.read_bytes() == before


def test_same_seed_same_bytes_on_any_number_of_processes(make_shapes, tmp_path, monkeypatch):
    here = make_shapes(root=str(tmp_path / "here"))
    here.manifest()
    used = []

    class Pool(ProcessPoolExecutor):
        def submit(self, *arguments):
            used.append(arguments)
            return super().submit(*arguments)

    monkeypatch.setattr(draw_module, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(draw_module, "_FEW", 1)
    monkeypatch.setattr(draw_module, "_num_cores", lambda: 2)
    there = make_shapes(root=str(tmp_path / "there"))
    paths = there.manifest().table["path"].to_pylist()
    assert len(used) == 4
    for path in paths:
        assert (here.folder() / path).read_bytes() == (there.folder() / path).read_bytes()


def test_another_seed_draws_other_clips_elsewhere(make_shapes):
    first, second = make_shapes(seed=0), make_shapes(seed=1)
    path = "train/left/00000.mp4"
    assert (first.draw(path) != second.draw(path)).any()
    assert first.folder() != second.folder()
    assert first.folder() == make_shapes(seed=0, batch_size=9).folder()


def test_one_decoded_frame_says_nothing(make_shapes, decode):
    shapes = make_shapes(num_train=160, num_test=160, num_frames=3)
    manifest = shapes.manifest()

    def first_frames(subset):
        table = manifest.table.take(manifest.rows(subset))
        files = [(shapes.folder() / path).read_bytes() for path in table["path"].to_pylist()]
        frames = np.stack([decode(file)[0] for file in files]).reshape(len(files), -1) / 255.0
        return frames - 0.5, np.array(table["labels"].to_pylist())[:, 0]

    frames, labels = first_frames("train")
    unseen, truth = first_frames("test")
    centroids = np.stack([frames[labels == label].mean(axis=0) for label in range(8)])
    distances = (centroids**2).sum(axis=1) - 2 * unseen @ centroids.T
    kernel = frames @ frames.T + 10 * np.eye(len(frames))
    ridge = unseen @ frames.T @ np.linalg.solve(kernel, np.eye(8)[labels])
    for guess in (distances.argmin(axis=1), ridge.argmax(axis=1)):
        # chance is .125; four standard deviations of 160 guesses are .105
        assert (guess == truth).mean() < 0.23


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_train": 20}, r"data\.num_train=20 cannot be shared evenly by 8 .* give 16 or 24"),
        ({"num_val": 0}, r"data\.num_val=0 cannot be shared evenly by 8 classes; give 8 or 16"),
        ({"num_test": -8}, r"data\.num_test=-8 .* give 8 or 16"),
        ({"num_frames": 1}, r"data\.num_frames=1 shows no motion; give 2 or more"),
        ({"size_pixels": 33}, r"data\.size_pixels=33 must be even and at least 16; give 34"),
        ({"size_pixels": 8}, r"data\.size_pixels=8 .* give 16"),
        ({"seed": -1}, r"data\.seed=-1 is negative; give 0 or more"),
        ({"directional": False}, r"data\.directional=false would mirror clips"),
    ],
)
def test_bad_values_are_refused(make_shapes, changes, message):
    with pytest.raises(ValueError, match=message):
        make_shapes(**changes)


def test_needs_no_torch():
    code = "import sys, videoclf.generated.moving_shapes; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
