import re

import numpy as np
import pytest

from videoclf.generated.ladder.videos import TASKS
from videoclf.readers.pyav import PyavReader


@pytest.mark.parametrize("task", TASKS)
def test_every_task_draws_what_it_says(ladder, task):
    videos = ladder(task)
    path = f"train/{videos.classes[0]}/00000.mp4"
    clip = videos.draw(path)
    assert clip.dtype == np.uint8
    assert clip.shape == (videos.num_frames, videos.size_pixels, videos.size_pixels, 3)
    assert 32 <= videos.size_pixels <= 48
    np.testing.assert_array_equal(clip, ladder(task).draw(path))
    other = videos.draw(f"val/{videos.classes[0]}/00000.mp4")
    assert not np.array_equal(clip, other)
    assert videos.derived() == {"num_frames": len(clip), "size_pixels": clip.shape[1]}


def test_manifest_is_balanced_and_files_hold_the_clips(ladder):
    videos = ladder("speed")
    manifest = videos.manifest()
    assert manifest.class_names == ("slow", "middle", "fast")
    assert manifest.counts() == {"train": 24, "val": 12, "test": 12}
    with PyavReader(str(videos.folder() / "test" / "fast" / "00001.mp4")) as reader:
        decoded = reader.frames(np.arange(16))
    drawn = videos.draw("test/fast/00001.mp4")
    assert np.abs(decoded.astype(int) - drawn).mean() < 4


def test_settings_go_into_the_folder_only_where_they_matter(ladder):
    def folder(task, **changes):
        return ladder(task, **changes)._parameters()

    assert folder("speed") == folder("speed", frames_apart=8)
    assert folder("event_order") != folder("event_order", frames_apart=8)
    assert folder("time_shift") != folder("time_shift", shift="earlier")
    assert folder("shortcut") != folder("shortcut", agreement=1.0)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("sped", {}, "data.task=sped is no task; did you mean 'speed'?"),
        ("speed", {"num_frames": 8}, "data.num_frames=8, but speed is drawn with 16; give null"),
        ("speed", {"size_pixels": 64}, "data.size_pixels=64, but speed is drawn with 48"),
        ("shortcut", {"agreement": 1.5}, "data.agreement=1.5 must be in [0, 1]"),
        ("time_shift", {"shift": "up"}, "data.shift='up' must be later or earlier"),
        (
            "event_order",
            {"frames_apart": 16},
            "data.frames_apart=16 with margins of 9 frames needs clips of 35 frames",
        ),
        ("speed", {"num_train": 25}, "data.num_train=25 cannot be shared evenly by 3 classes"),
    ],
)
def test_wrong_settings(ladder, task, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ladder(task, **changes)
