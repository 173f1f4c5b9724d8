import numpy as np
import pytest

from videoclf.data.flow_source import FlowSource
from videoclf.errors import VideoclfError
from videoclf.generated.encode import write_video
from videoclf.reports.filmstrip import filmstrip
from videoclf.reports.flow_frames import frames_with_flow

FLOW = FlowSource(folder=None, method="dis", bound_pixels=8.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = coarse.repeat(8, axis=0).repeat(8, axis=1)  # (64, 64, 3)
    frames = np.stack([np.roll(picture, 2 * time, axis=1) for time in range(12)])
    write_video(root / "right.mp4", frames, frames_per_second=25)
    return root


def test_each_frame_stands_above_its_flow(root):
    read = frames_with_flow(root, FLOW, "pyav")
    strip = read(root / "right.mp4", None, None, 5, 64)
    assert strip.shape == (5, 128, 64, 3)
    red, green, blue = strip[2, 72:120, 8:56].reshape(-1, 3).mean(0)
    assert red > green + 30  # motion to the right is red in the Middlebury code
    assert red > blue + 30


def test_it_serves_the_reports_filmstrips(root):
    strip = filmstrip(root, "right.mp4", 0.0, 0.2, read_frames=frames_with_flow(root, FLOW, "pyav"))
    assert strip.height == 192
    assert len(strip.halves) == 2


def test_a_video_without_flow_is_an_error_with_a_reason(root, tmp_path):
    stored = FlowSource(folder=str(tmp_path), method="dis", bound_pixels=8.0)
    with pytest.raises(VideoclfError):
        frames_with_flow(root, stored, "pyav")(root / "right.mp4", None, None, 5, 64)
    said = filmstrip(
        root, "right.mp4", None, None, read_frames=frames_with_flow(root, stored, "pyav")
    )
    assert said.reason
