"""Frames pass in order, each the one that the index lists, from any frame to any other."""

import itertools

import numpy as np
import pytest

from tests.barcode import read_barcode, write_barcodes
from videoclf.errors import UnreadableVideoError
from videoclf.readers.pyav import PyavReader
from videoclf.readers.safety import container_kind
from videoclf.tools.decoding import decode_stretch, decode_whole, index_and_decode

FAST = {"preset": "ultrafast"}
KINDS = {
    "b_frames": (".mp4", {"options": {"bf": "3", "g": "12", "preset": "veryfast"}}),
    "open_gop": (".mkv", {"options": {"bf": "3", "g": "12", "x264-params": "open-gop=1"}}),
    "late_start": (".mp4", {"options": FAST, "ticks": [5000 + 40 * n for n in range(40)]}),
    "avi": (".avi", {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}}),
    "transport": (".ts", {"options": {"g": "12", **FAST}}),
}


def numbers(path, index, first, last):
    frames = decode_stretch(str(path), index, first, last)
    return [read_barcode(frame.to_ndarray(format="rgb24")) for frame in frames]


@pytest.mark.parametrize("kind", KINDS)
def test_stretches_are_exact(tmp_path, kind):
    suffix, settings = KINDS[kind]
    path = write_barcodes(tmp_path / f"a{suffix}", range(40), **settings)
    with PyavReader(str(path), cache=False) as reader:
        index = reader.index
    for first, last in itertools.pairwise([0, 1, 11, 12, 13, 24, 30, 40]):
        assert numbers(path, index, first, last) == list(range(first, last))
    assert numbers(path, index, 0, 40) == list(range(40))
    assert decode_whole(str(path), index.container).num_frames == 40


def test_variable_times_are_exact(tmp_path):
    ticks = [40 * n + (17 * n * n) % 23 for n in range(40)]
    path = write_barcodes(tmp_path / "a.mkv", range(40), ticks=ticks, options={"g": "12", **FAST})
    with PyavReader(str(path), cache=False) as reader:
        assert numbers(path, reader.index, 25, 33) == list(range(25, 33))


def test_damage_is_found(tmp_path):
    path = write_barcodes(tmp_path / "a.mp4", range(40), options={"g": "10", "crf": "1"})
    with PyavReader(str(path), cache=False) as reader:
        index = reader.index
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)
    decoded = decode_whole(str(path), container_kind(str(path)))
    assert decoded.num_damaged or decoded.error
    with pytest.raises(UnreadableVideoError, match="damaged|missing"):
        numbers(path, index, 0, 40)
    assert numbers(path, index, 0, 5) == [0, 1, 2, 3, 4]


def test_an_early_end_is_found(tmp_path):
    long = write_barcodes(tmp_path / "long.mp4", range(40), options=FAST)
    short = write_barcodes(tmp_path / "short.mp4", range(30), options=FAST)
    with PyavReader(str(long), cache=False) as reader:
        index = reader.index
    with pytest.raises(UnreadableVideoError, match="ends after frame 30 of 40"):
        numbers(short, index, 0, 40)


def test_another_frame_is_not_taken_for_the_listed_one(tmp_path):
    path = write_barcodes(tmp_path / "a.mp4", range(20), options=FAST)
    other = write_barcodes(
        tmp_path / "b.mp4", range(20), ticks=[40 * n + (n > 7) for n in range(20)], options=FAST
    )
    with PyavReader(str(path), cache=False) as reader:
        index = reader.index
    assert np.all(np.diff(index.timestamps) > 0)
    with pytest.raises(UnreadableVideoError, match=r"frame \d+ is missing"):
        numbers(other, index, 0, 20)


@pytest.mark.parametrize("kind", KINDS)
def test_one_pass_gives_index_and_count_where_all_is_decoded(tmp_path, kind):
    suffix, settings = KINDS[kind]
    path = str(write_barcodes(tmp_path / f"a{suffix}", range(40), **settings))
    index, decoded = index_and_decode(path, container_kind(path))
    assert index.num_frames == 40
    assert (decoded is not None) == (kind in ("avi", "transport"))
    if decoded is not None:
        assert decoded == decode_whole(path, container_kind(path))


def test_damaged_frames_are_counted_in_that_pass(tmp_path):
    path = write_barcodes(
        tmp_path / "a.mpg", range(40), codec="mpeg2video", options={"b": "4000000"}
    )
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data) * 2 // 3, 2000):
        data[place : place + 30] = bytes(range(30))
    path.write_bytes(data)
    _, decoded = index_and_decode(str(path), "mpegps")
    assert decoded == decode_whole(str(path), "mpegps")
    assert decoded.num_damaged
