"""Frames and flow of one record, by the numbers of the video's frames."""

import numpy as np
import pytest

from videoclf.data.flow_source import FlowSource
from videoclf.data.footage import open_footage, scaled
from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError, DataError, UnreadableVideoError
from videoclf.flow.dis import Dis
from videoclf.flow.quantisation import Quantisation
from videoclf.flow.storing import FlowEncoder
from videoclf.generated.encode import write_video
from videoclf.readers.pyav import PyavReader
from videoclf.tools.reencoding import Job

NUM_FRAMES = 12
ON_THE_FLY = FlowSource(folder=None, method="dis", bound_pixels=4.0)


def moving_texture(num_frames=NUM_FRAMES, pixels=64):
    """A smooth texture that moves right by two pixels a frame."""
    rng = np.random.default_rng(0)
    waves = sum(
        rng.normal()
        * np.sin(
            2 * np.pi * (a * np.arange(pixels)[:, None] + b * np.arange(pixels)) / pixels
            + rng.uniform(0, 6)
        )
        for a in range(1, 6)
        for b in range(1, 6)
    )
    picture = np.uint8(np.interp(waves, (waves.min(), waves.max()), (0, 255)))
    frames = np.stack([np.roll(picture, 2 * t, axis=1) for t in range(num_frames)])
    return np.repeat(frames[..., None], 3, axis=3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    videos, flow = tmp_path_factory.mktemp("videos"), tmp_path_factory.mktemp("flow")
    (flow / "a").mkdir()
    write_video(videos / "a" / "x.mp4", moving_texture(), frames_per_second=25)
    encode = FlowEncoder("dis", Dis(), Quantisation(4.0), short_side=64)
    written = encode(Job(str(videos / "a" / "x.mp4"), str(flow / "a" / "x.mp4")))
    assert not written.problem
    return videos, flow


def footage(folders, *, modalities, stored, bound=4.0):
    videos, flow = folders
    source = FlowSource(folder=str(flow) if stored else None, method="dis", bound_pixels=bound)
    return open_footage(
        videos, "a/x.mp4", modalities=modalities, open_video=PyavReader, flow=source
    )


@pytest.mark.parametrize("stored", [True, False])
def test_flow_of_frame_i_leads_to_the_next_one(folders, stored):
    indices = np.array([0, 1, 5, 9, 10, 11])
    with footage(folders, modalities=("rgb", "flow"), stored=stored) as opened:
        assert opened.num_frames == NUM_FRAMES
        read = opened.frames(indices, short_side=64)
    assert read["rgb"].shape == (6, 64, 64, 3)
    assert read["flow"].shape == (6, 64, 64, 2)
    fields = Quantisation(4.0).fields(read["flow"])
    inside = fields[:, 8:-8, 8:-8]
    assert abs(np.median(inside[..., 0]) - 2) < 0.1
    assert abs(np.median(inside[..., 1])) < 0.1
    # the last frame has none of its own and takes the one before
    np.testing.assert_array_equal(read["flow"][5], read["flow"][4])


def test_stored_and_estimated_flow_are_the_same(folders):
    indices = np.arange(NUM_FRAMES)
    read = []
    for stored in (True, False):
        with footage(folders, modalities=("flow",), stored=stored) as opened:
            assert (opened.num_frames, opened.fps) == (NUM_FRAMES, 25)
            np.testing.assert_allclose(opened.times, indices / 25, atol=1e-6)
            read.append(opened.frames(indices, short_side=64)["flow"])
    np.testing.assert_array_equal(*read)


def test_stored_flow_alone_does_without_the_video(folders, tmp_path):
    source = FlowSource(folder=str(folders[1]), method="dis", bound_pixels=4.0)
    with open_footage(
        tmp_path, "a/x.mp4", modalities=("flow",), open_video=PyavReader, flow=source
    ) as opened:
        assert set(opened.frames(np.array([3]), short_side=32)) == {"flow"}


def test_flow_is_scaled_to_its_frames():
    codes = np.full((2, 64, 48, 2), 200, np.uint8)
    assert scaled(codes, (32, 24)).shape == (2, 32, 24, 2)
    assert (scaled(codes, (32, 24)) == 200).all()
    assert scaled(codes, (64, 48)) is codes


def test_flow_of_another_bound_or_length_is_refused(folders, tmp_path):
    with (
        pytest.raises(
            UnreadableVideoError, match="bound of 4 pixels .* not data.flow_bound_pixels=5"
        ),
        footage(folders, modalities=("flow",), stored=True, bound=5.0),
    ):
        pass
    (tmp_path / "a").mkdir()
    write_video(tmp_path / "a" / "x.mp4", moving_texture(8), frames_per_second=25)
    source = FlowSource(folder=str(folders[1]), method="dis", bound_pixels=4.0)
    with (
        pytest.raises(UnreadableVideoError, match="has 8 frames and its stored flow 11 fields"),
        open_footage(
            tmp_path, "a/x.mp4", modalities=("rgb", "flow"), open_video=PyavReader, flow=source
        ),
    ):
        pass


def manifest(*paths):
    return Manifest.from_columns(
        class_names=["a"], paths=paths, labels=[(0,)] * len(paths), subsets=["train"] * len(paths)
    )


def test_a_folder_of_flow_is_held_against_the_records(folders):
    _, flow = folders
    good = FlowSource(folder=str(flow), method="dis", bound_pixels=4.0)
    good.check_files(manifest("a/x.avi"))  # flow is named a/x.mp4, whatever the video's ending
    ON_THE_FLY.check_files(manifest("nowhere.mp4"))
    with pytest.raises(
        DataError, match=r"2 of 3 videos have no stored flow below .*: a/y.mp4, b.mp4"
    ):
        good.check_files(manifest("a/x.mp4", "a/y.mp4", "b.mp4"))
    with pytest.raises(ConfigError, match="data.flow_bound_pixels=20, but .* was stored with 4"):
        FlowSource(folder=str(flow), method="dis", bound_pixels=20.0).check_files(
            manifest("a/x.mp4")
        )


def test_no_flow_at_all(tmp_path):
    source = FlowSource(folder=str(tmp_path / "gone"), method="dis", bound_pixels=20.0)
    with pytest.raises(DataError, match="1 of 1 videos have no stored flow"):
        source.check_files(manifest("a.mp4"))
