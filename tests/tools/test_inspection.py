"""What training would stumble over is found in a single file, and says what it is."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from tests.barcode import draw_barcode, write_barcodes
from videoclf.tools.decoding import decode_whole
from videoclf.tools.inspection import Inspector

FAST = {"preset": "ultrafast", "g": "10"}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def inspect(root, name, *, quick=False, **settings):
    return Inspector(str(root), quick=quick, **settings)(name)


def test_a_sound_file_gives_its_facts(root):
    path = write_barcodes(root / "a.mp4", range(20), options=FAST)
    found = inspect(root, "a.mp4")
    assert found.problem is None
    assert (found.container, found.codec, found.num_frames) == ("mp4", "h264", 20)
    assert (found.height, found.width, found.fps, found.last_seconds) == (64, 96, 25.0, 0.76)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.bytes == path.stat().st_size
    assert inspect(root, "a.mp4", quick=True) == found


def test_truncated_files(root):
    path = write_barcodes(
        root / "a.mp4", range(60), options=FAST, container_options={"movflags": "faststart"}
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 8 // 10])
    found = inspect(root, "a.mp4", quick=True)
    assert found.problem == "unreadable"
    assert "bytes are there" in found.detail
    assert found.sha256 is not None  # so that a file that was truncated later shows as changed


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "is empty (0 bytes)"),
        (b"<!DOCTYPE html><title>404</title>", "is a web page, not a video"),
        (b"#EXTM3U\nhttp://example.com/a.ts\n", "is a playlist, not a video"),
        (os.urandom(4096), "does not begin like any known video container"),
    ],
)
def test_files_that_are_no_videos(root, content, detail):
    (root / "a.mp4").write_bytes(content)
    found = inspect(root, "a.mp4")
    assert (found.problem, found.detail) == ("unreadable", detail)


def test_missing_files_and_strange_ones(root, tmp_path):
    assert inspect(root, "a.mp4").problem == "missing"
    os.mkfifo(root / "pipe.mp4")
    assert inspect(root, "pipe.mp4").detail == "is a FIFO, not a file"
    (root / "nothing.mp4").symlink_to(root / "gone.mp4")
    assert inspect(root, "nothing.mp4").detail == "is a link to nothing"
    write_barcodes(tmp_path / "outside.mp4", range(5), options=FAST)
    (root / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    assert inspect(root, "link.mp4").detail == "is a link that leads out of the data root"


def test_damage_shows_where_everything_is_decoded(root):
    path = write_barcodes(root / "a.mp4", range(40), options={"g": "10", "crf": "1"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)
    assert inspect(root, "a.mp4", quick=True).problem is None
    found = inspect(root, "a.mp4")
    assert found.problem == "damaged"
    assert "of 40" in found.detail


def test_wrong_frame_counts(root):
    path = write_barcodes(root / "a.avi", range(20), codec="mpeg4")
    data = bytearray(path.read_bytes())
    length = data.index(b"strh") + 8 + 32  # dwLength of the stream's header
    assert int.from_bytes(data[length : length + 4], "little") == 20
    data[length : length + 4] = (25).to_bytes(4, "little")
    path.write_bytes(data)
    found = inspect(root, "a.avi")
    assert found.problem == "frame count"
    assert found.detail == "the container says 25, 20 decode"


@pytest.mark.parametrize(("suffix", "times"), [(".avi", 0), (".mp4", 1)])
def test_a_file_is_decoded_once(root, monkeypatch, suffix, times):
    codec = {"codec": "mpeg4"} if suffix == ".avi" else {"options": FAST}
    write_barcodes(root / f"a{suffix}", range(20), **codec)
    passes = []
    monkeypatch.setattr(
        "videoclf.tools.inspection.decode_whole",
        lambda *arguments: passes.append(arguments) or decode_whole(*arguments),
    )
    assert inspect(root, f"a{suffix}").problem is None
    assert len(passes) == times  # beside the pass that makes the index


def test_folders_of_pictures(root):
    for name in ("a", "b"):
        (root / name).mkdir()
        for number in range(3):
            Image.fromarray(draw_barcode(number)).save(root / name / f"{number:03}.png")
    found = inspect(root, "a", folders=True)
    assert (found.problem, found.num_frames, found.container) == (None, 3, "folder")
    assert found.sha256 == inspect(root, "b", folders=True).sha256
    picture = root / "b" / "001.png"
    picture.write_bytes(picture.read_bytes()[:60])
    assert inspect(root, "b", folders=True).problem == "unreadable"
    assert np.all([inspect(root, "c", folders=True).problem == "missing"])
