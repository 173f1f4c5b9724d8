import pytest

from videoclf.generated.ladder.videos import LadderVideos

SETTINGS = {
    "reader": "decoded",
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
    "frames_apart": 4,
    "margin_frames": 9,
    "shift": "later",
    "agreement": 0.9,
    "num_train": 24,
    "num_val": 12,
    "num_test": 12,
    "num_frames": None,
    "size_pixels": None,
    "seed": 0,
}


@pytest.fixture
def ladder(tmp_path):
    def make(task, **changes):
        return LadderVideos(task=task, root=str(tmp_path / task), **{**SETTINGS, **changes})

    return make


@pytest.fixture
def orbit(ladder):
    """The versions of a clip in all classes: {class: uint8 (T, H, W, 3)}."""

    def draw(task, number, subset="test", **changes):
        videos = ladder(task, **changes)
        return {name: videos.draw(f"{subset}/{name}/{number:05d}.mp4") for name in videos.classes}

    return draw
