"""The packet index: kept exactly, found again, and never trusted when damaged."""

from __future__ import annotations

import os
import random
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import videoclf.readers.indexed
from tests.barcode import read_barcodes, write_barcodes
from videoclf.readers.packet_index import (
    PacketIndex,
    cached_index_path,
    load_cached,
    store_cached,
)
from videoclf.readers.pyav import PyavReader


def same(first: PacketIndex, second: PacketIndex) -> bool:
    return all(
        np.array_equal(getattr(first, field.name), getattr(second, field.name))
        for field in fields(PacketIndex)
    )


@pytest.fixture
def film(corpus):
    return corpus("h264_open_gop")[0]


def forbid(*_):
    raise AssertionError("the file was demuxed again")


def test_what_the_index_says(corpus):
    index = PyavReader(corpus("h264_open_gop")[0]).index
    assert (index.container, index.codec, index.stream) == ("mp4", "h264", 0)
    assert (index.height, index.width, index.num_frames) == (64, 96, 60)
    assert index.leading_frames
    assert index.seekable
    assert not index.decoded
    assert len(index.key_timestamps) == 5
    index = PyavReader(corpus("edit_list")[0]).index
    assert index.edited
    assert index.decoded
    index = PyavReader(corpus("mpeg4_avi")[0]).index
    assert index.decoded
    assert not index.seekable
    assert PyavReader(corpus("two_streams")[0]).index.num_video_streams == 2
    assert PyavReader(corpus("cover_picture")[0]).index.num_video_streams == 1


def test_saved_and_loaded_it_is_the_same(film, tmp_path):
    index = PyavReader(film).index
    index.save(tmp_path / "index.npz")
    assert same(PacketIndex.load(tmp_path / "index.npz"), index)
    with PyavReader(film, PacketIndex.load(tmp_path / "index.npz")) as reader:
        assert read_barcodes(reader.frames(np.array([30, 7]))) == [30, 7]


def test_the_second_opening_does_not_demux(film, monkeypatch):
    first = PyavReader(film)
    monkeypatch.setattr(videoclf.readers.indexed, "build_index", forbid)
    with PyavReader(film) as reader:
        assert same(reader.index, first.index)
        assert read_barcodes(reader.frames(np.array([59, 3]))) == [59, 3]
    with pytest.raises(AssertionError, match="demuxed again"):
        PyavReader(film, cache=False)


def test_without_the_cache_nothing_is_written(film, own_cache):
    PyavReader(film, cache=False).close()
    assert not own_cache.exists()


def test_a_changed_file_gets_a_new_index(tmp_path):
    path = write_barcodes(tmp_path / "a.mp4", range(10))
    assert PyavReader(str(path)).num_frames == 10
    before = cached_index_path(str(path))
    write_barcodes(path, range(20))
    assert PyavReader(str(path)).num_frames == 20
    assert cached_index_path(str(path)) != before
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert load_cached(str(path)) is None


def test_a_relative_path_is_the_same_file(tmp_path, monkeypatch):
    path = write_barcodes(tmp_path / "a.mp4", range(10))
    monkeypatch.chdir(tmp_path)
    assert cached_index_path("a.mp4") == cached_index_path(str(path))


def test_damaged_cache_files_are_made_anew(film):
    index = PyavReader(film).index
    stored = cached_index_path(film)
    whole = stored.read_bytes()
    generator = random.Random(0)
    for _ in range(150):
        damaged = bytearray(
            whole[: generator.choice([len(whole), generator.randrange(len(whole))])]
        )
        for _ in range(generator.randrange(3) if damaged else 0):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        stored.write_bytes(damaged)
        loaded = load_cached(film)
        assert loaded is None or same(loaded, index)
    stored.write_bytes(b"")
    with PyavReader(film) as reader:
        assert same(reader.index, index)
    assert stored.read_bytes() == whole


def test_loading_a_damaged_file_says_what_to_do(tmp_path):
    (tmp_path / "index.npz").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(ValueError, match=r"index\.npz is .* delete it"):
        PacketIndex.load(tmp_path / "index.npz")


def test_a_cache_that_cannot_be_written_is_done_without(film, own_cache):
    own_cache.write_text("a file where the folder should be")
    with PyavReader(film) as reader:
        assert reader.num_frames == 60
        store_cached(film, reader.index)
    assert load_cached(film) is None


def test_the_cache_folder_holds_no_half_files(film, own_cache):
    PyavReader(film)
    written = [path for path in own_cache.rglob("*") if path.is_file()]
    assert [path.suffix for path in written] == [".npz"]
    assert Path(written[0]).parent.parent.name == "packet_indexes"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timestamps": np.zeros(0, np.int64)}, "at least one frame"),
        ({"timestamps": np.array([0, 0])}, "timestamps must be ascending"),
        ({"timestamps": np.array([0.0])}, r"timestamps must be int64 \(N,\), not float64"),
        ({"height": 0}, "time_base, height and width must be positive"),
    ],
)
def test_an_impossible_index_is_refused(film, change, message):
    index = PyavReader(film).index
    with pytest.raises(ValueError, match=message):
        replace(index, **change)
