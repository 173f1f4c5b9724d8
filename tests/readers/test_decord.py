"""decord: right or refused by name, in every case of the corpus."""

from __future__ import annotations

import numpy as np
import pytest

from tests.barcode import read_barcodes, write_barcodes
from tests.readers.checks import check_every_frame
from tests.readers.corpus import CASES, turn
from videoclf.errors import UnreadableVideoError
from videoclf.readers.pyav import PyavReader

pytest.importorskip("decord", reason="decord is not installed here")
from videoclf.readers.decord import DecordReader

READ = {
    "h264_gop12",
    "h264_gop250",
    "h264_b_frames",
    "h264_b_frames_mkv",
    "h264_b_frames_mov",
    "h264_10bit",
    "vp9",
    "vfr",
    "vfr_mkv",
    "starts_at_5s",
    "starts_at_5s_mkv",
    "fragmented",
    "odd_size",
    "odd_size_vp9",
    "one_frame",
    "audio_longer",
    "cover_picture",
}


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_right_or_refused_by_name(corpus, name):
    path, case = corpus(name)
    if name in READ:
        check_every_frame(DecordReader, path, case.numbers)
        return
    reason = r"decord is not exact on .*; use data\.reader=pyav"
    with pytest.raises(UnreadableVideoError, match=reason):
        DecordReader(path)


@pytest.mark.parametrize("short_side", [None, 32, 80])
def test_pictures_are_like_those_of_pyav(corpus, short_side):
    path, _ = corpus("h264_b_frames")
    indices = np.array([7, 3, 59, 3])
    with PyavReader(path) as reader:
        expected = reader.frames(indices, short_side=short_side)
    with DecordReader(path) as reader:
        clip = reader.frames(indices, short_side=short_side)
        assert clip.shape == expected.shape
        assert np.abs(clip.astype(int) - expected).mean() < 3
        assert reader.fps == 25.0
        assert reader.frames(np.array([], np.int64), short_side=short_side).shape[0] == 0


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
@pytest.mark.parametrize("short_side", [None, 32])
def test_rotation_is_applied(tmp_path, matrix, short_side):
    path = write_barcodes(tmp_path / "turned.mp4", range(5))
    turn(matrix)(path)
    with PyavReader(str(path)) as reader:
        expected = reader.frames(np.arange(5), short_side=short_side)
    with DecordReader(str(path)) as reader:
        clip = reader.frames(np.arange(5), short_side=short_side)
        assert clip.shape == expected.shape
        assert np.abs(clip.astype(int) - expected).mean() < 4


def test_indices_outside(corpus):
    with (
        DecordReader(corpus("h264_gop12")[0]) as reader,
        pytest.raises(IndexError, match="frame 60 is outside a video of 60 frames"),
    ):
        reader.frames(np.array([60]))


def test_it_reads_again_after_close(corpus):
    reader = DecordReader(corpus("h264_gop12")[0])
    assert read_barcodes(reader.frames(np.array([4]))) == [4]
    reader.close()
    reader.close()
    assert read_barcodes(reader.frames(np.array([5]))) == [5]


@pytest.mark.parametrize("width", [8, 72])
def test_narrow_widths_are_refused_for_what_they_are(tmp_path, width):
    path = str(write_barcodes(tmp_path / "narrow.mp4", range(4), height=96, width=width))
    with (
        DecordReader(path) as reader,
        pytest.raises(
            UnreadableVideoError,
            match=f"decord cannot give frames of {width} pixels width; use data.reader=pyav",
        ),
    ):
        reader.frames(np.arange(4))


def test_a_narrow_size_is_scaled_from_the_native_one(tmp_path):
    path = str(write_barcodes(tmp_path / "a.mp4", range(4), height=128, width=96))
    with DecordReader(path) as reader:
        clip = reader.frames(np.arange(4), short_side=72)
        assert clip.shape == (4, 96, 72, 3)
        assert read_barcodes(clip) == [0, 1, 2, 3]
