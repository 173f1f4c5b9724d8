"""Damaged and truncated files: found and named, neither hidden nor fatal; odd ones still read."""

from __future__ import annotations

import dataclasses

import av
import numpy as np
import pytest

from tests.barcode import read_barcodes, write_barcodes
from tests.readers.corpus import B_FRAMES
from videoclf.errors import UnreadableVideoError
from videoclf.readers.pyav import PyavReader


@pytest.fixture
def long_gops(tmp_path):
    """Return a function that writes a file of three GOPs with its header in front."""

    def write(suffix, **settings):
        settings = {"options": {**B_FRAMES, "g": "20", "crf": "10"}, **settings}
        path = tmp_path / f"long{suffix}"
        if suffix == ".mp4":
            settings["container_options"] = {"movflags": "faststart"}
        return write_barcodes(path, range(60), **settings)

    return write


@pytest.mark.parametrize(
    ("suffix", "settings", "reason"),
    [
        (".mp4", {}, r"ends after frame \d+ of 60 \(\d+ of \d+ bytes are there\)"),
        (".mkv", {}, r"ends after frame \d+ \(\d+ of \d+ bytes are there\)"),
        (".avi", {"codec": "mpeg4", "options": {}}, r"ends after frame \d+ of 60"),
        (".wmv", {"codec": "wmv2", "options": {}}, r"ends after frame \d+ .*bytes are there"),
        (".gif", {"codec": "gif", "pixel_format": "rgb8"}, r"ends after frame .*end mark"),
    ],
)
def test_a_truncated_file_is_named(long_gops, suffix, settings, reason):
    path = long_gops(suffix, **settings)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(UnreadableVideoError, match=reason) as caught:
        PyavReader(str(path))
    assert caught.value.path == str(path)


def test_a_cut_off_recording_is_named(tmp_path):
    path = write_barcodes(tmp_path / "a.mp4", range(60))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(UnreadableVideoError, match=r"its header cannot be read \(\d+ of \d+ bytes"):
        PyavReader(str(path))


def test_lost_parts_in_the_middle_are_named(tmp_path):
    path = write_barcodes(
        tmp_path / "a.mkv", range(60), container_options={"cluster_time_limit": "500"}
    )
    data = bytearray(path.read_bytes())
    second = data.index(b"\x1f\x43\xb6\x75", data.index(b"\x1f\x43\xb6\x75") + 4)
    data[second : second + 4] = b"lost"
    path.write_bytes(data)
    with pytest.raises(UnreadableVideoError, match=f"do not fit together at byte {second}"):
        PyavReader(str(path))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_gaps_in_time_are_no_loss(tmp_path, suffix):
    ticks = [0, 40, 80, 120, 3120, 3160, 3200, 9200]
    codec = {"codec": "mpeg4", "options": {}} if suffix == ".avi" else {}
    path = write_barcodes(tmp_path / f"slides{suffix}", range(8), ticks=ticks, **codec)
    with PyavReader(str(path)) as reader:
        assert read_barcodes(reader.frames(np.arange(8))) == list(range(8))
        np.testing.assert_allclose(reader.times, np.array(ticks) / 1000, atol=2e-3)


def test_titles_may_be_in_any_encoding(tmp_path):
    path = write_barcodes(tmp_path / "a.avi", range(4), codec="mpeg4", options={})
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"L\xe4\xff\xb3"))
    with PyavReader(str(path)) as reader:
        assert reader.num_frames == 4


def test_a_file_that_shrinks_after_indexing_is_named(long_gops):
    path = long_gops(".mp4")
    index = PyavReader(str(path)).index
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with PyavReader(str(path), index) as reader:
        assert read_barcodes(reader.frames(np.array([5]))) == [5]
        with pytest.raises(UnreadableVideoError, match=r"(ends after|near) frame \d+ of 60"):
            reader.frames(np.array([5, 59]))


def test_damaged_frames_are_named_and_others_read(long_gops):
    path = long_gops(".mp4")
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        keys = [p for p in packets if p.is_keyframe]
        place, size = keys[1].pos, keys[1].size
    data = bytearray(path.read_bytes())
    data[place + 60 : place + size] = bytes(size - 60)
    path.write_bytes(data)
    with PyavReader(str(path)) as reader:
        assert read_barcodes(reader.frames(np.arange(10))) == list(range(10))
        with pytest.raises(UnreadableVideoError, match="damaged"):
            reader.frames(np.arange(22, 30))
        assert read_barcodes(reader.frames(np.array([55]))) == [55]


def test_a_wrong_index_never_gives_wrong_frames(corpus):
    path, _ = corpus("h264_b_frames")
    right = PyavReader(path).index
    shifted = dataclasses.replace(right, timestamps=right.timestamps + 1)
    with PyavReader(path, shifted) as reader, pytest.raises(UnreadableVideoError, match="missing"):
        reader.frames(np.array([30]))
    longer = np.append(right.timestamps, right.timestamps[-1] + 512)
    with (
        PyavReader(path, dataclasses.replace(right, timestamps=longer)) as reader,
        pytest.raises(UnreadableVideoError, match="ends after frame 60 of 61"),
    ):
        reader.frames(np.array([60]))


def test_false_keyframes_cost_time_only(corpus):
    path, _ = corpus("h264_b_frames")
    right = PyavReader(path).index
    every = dataclasses.replace(right, key_timestamps=right.timestamps)
    with PyavReader(path, every) as reader:
        assert read_barcodes(reader.frames(np.array([50, 17, 33]))) == [50, 17, 33]
