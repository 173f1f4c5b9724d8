"""What must be refused before a decoder sees it: quickly, by name, in little memory."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.barcode import write_barcodes
from videoclf.errors import UnreadableVideoError
from videoclf.readers import reader_class
from videoclf.readers.pyav import PyavReader
from videoclf.readers.safety import DEMUXERS, Limits, container_kind
from videoclf.readers.structure import lost_parts

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://%s\n#EXT-X-ENDLIST\n"
STRANGERS = {
    "playlist": (PLAYLIST, "is a playlist, not a video"),
    "concat list": (b"ffconcat version 1.0\nfile '%s'\n", "is a playlist, not a video"),
    "web page": (b"\n <!DOCTYPE html><html>404</html>", "is a web page, not a video"),
    "manifest": (b"<?xml version='1.0'?><MPD/>", "is an XML text, not a video"),
    "JSON": (b'{"error": "gone"}', "is a JSON text, not a video"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    "MP3 with a cover": (b"ID3\x04\0\0\0\0\x10\0APIC", r"is an audio file \(MP3\)"),
    "picture": (b"\xff\xd8\xff\xe0\0\x10JFIF", r"is a picture \(JPEG\), not a video"),
    "session description": (b"v=0\r\nm=video 5004 RTP/AVP 96\r\n", "does not begin like any known"),
    "noise": (bytes(range(7, 256)), "does not begin like any known video container"),
}


def refuse(path, reason):
    """Assert that every backend refuses a path for a reason, well within a second."""
    for name in ("pyav", "decord", "torchcodec"):
        try:
            cls = reader_class(name)
        except ValueError:
            continue  # not installed here
        start = time.monotonic()
        with pytest.raises(UnreadableVideoError, match=reason) as caught:
            cls(str(path))
        assert time.monotonic() - start < 0.5
        assert caught.value.path == str(path)


@pytest.mark.parametrize("name", STRANGERS)
def test_other_files_named_mp4_are_refused(tmp_path, name):
    film = write_barcodes(tmp_path / "film.mp4", range(2))
    content, reason = STRANGERS[name]
    path = tmp_path / "stranger.mp4"
    path.write_bytes(content % str(film).encode() if b"%s" in content else content)
    refuse(path, reason)


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo.mp4")
    refuse(tmp_path / "fifo.mp4", "is a FIFO, not a file")
    (tmp_path / "folder.mp4").mkdir()
    refuse(tmp_path / "folder.mp4", "is a folder, not a file")
    refuse("/dev/zero", "is a device, not a file")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nowhere")
    refuse(tmp_path / "link.mp4", "is a link to nothing")
    (tmp_path / "to_fifo.mp4").symlink_to(tmp_path / "fifo.mp4")
    refuse(tmp_path / "to_fifo.mp4", "is a FIFO, not a file")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    refuse(tmp_path / "loop.mp4", "cannot be opened")
    (tmp_path / "empty.mp4").touch()
    refuse(tmp_path / "empty.mp4", r"is empty \(0 bytes\)")


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path may be no longer than about 100 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.mp4")
        refuse("socket.mp4", "is a socket, not a file")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing.mp4", "does not exist"),
        ("http://127.0.0.1:9/a.mp4", "does not exist"),
        ("concat:a.mp4|b.mp4", "does not exist"),
        ("nul\0.mp4", "its name holds a NUL or is not UTF-8"),
        ("surrogate\udcff.mp4", "its name holds a NUL or is not UTF-8"),
    ],
)
def test_names_that_are_no_file(path, reason):
    refuse(path, reason)


def test_a_name_like_a_url_is_only_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_barcodes(tmp_path / "a.mp4", range(3)).rename("concat:a.mp4|b.mp4")
    with PyavReader("concat:a.mp4|b.mp4") as reader:
        assert reader.num_frames == 3


def test_a_file_that_may_not_be_read(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = write_barcodes(tmp_path / "a.mp4", range(3))
    path.chmod(0)
    refuse(path, r"cannot be opened \(Permission denied\)")


def test_audio_alone_and_garbage_in_a_video_container(tmp_path):
    path = write_barcodes(tmp_path / "a.mkv", range(1), audio_seconds=1.0)
    data = path.read_bytes()
    (tmp_path / "header.mkv").write_bytes(data[:40] + os.urandom(400))
    refuse(tmp_path / "header.mkv", "header cannot be read|no video stream|ends after")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_pixels=96 * 64 - 1), "frames of 96x64 exceed the limit of 6143 pixels"),
        (Limits(max_duration_seconds=1), "a duration of 2 s exceeds the limit of 1 s"),
        (Limits(max_frames=49), "has more than 49 frames"),
    ],
)
def test_limits(tmp_path, limits, reason):
    path = str(write_barcodes(tmp_path / "a.mkv", range(50)))
    with pytest.raises(UnreadableVideoError, match=reason):
        PyavReader(path, limits=limits)
    index = PyavReader(path).index
    if limits.max_duration_seconds > 1:
        with pytest.raises(UnreadableVideoError, match=reason):
            PyavReader(path, index, limits=limits)


def test_limits_must_be_positive():
    with pytest.raises(ValueError, match="max_pixels must be positive, not 0"):
        Limits(max_pixels=0)


def read_elsewhere(path):
    """Read a file in a fresh process; return (what came of it, its peak of memory in MB)."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to measure memory")
    command = [sys.executable, "-m", "tests.readers.checks", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    outcome, peak = done.stdout.strip().splitlines()[-2:]
    return outcome, int(peak.split()[1])


def test_a_small_file_with_a_huge_frame_takes_little_memory(tmp_path):
    screen = struct.pack("<HHBBB", 8192, 8192, 0x80, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", 0, 0, 8192, 8192, 0) + b"\x02\x02\x44\x01\x00;"
    path = tmp_path / "bomb.gif"
    path.write_bytes(b"GIF89a" + screen + image)
    outcome, peak = read_elsewhere(path)
    assert outcome == "refused: its frames have no size, or exceed the limit of 35389440 pixels"
    assert peak < 600


def test_a_header_that_hides_a_huge_frame_takes_little_memory(tmp_path):
    path = write_barcodes(tmp_path / "a.mov", range(3), codec="mjpeg", pixel_format="yuvj420p")
    data = path.read_bytes()
    start_of_frame = b"\xff\xc0\x00\x11\x08"
    honest, lying = struct.pack(">HH", 64, 96), struct.pack(">HH", 16384, 16384)
    assert start_of_frame + honest in data
    path.write_bytes(data.replace(start_of_frame + honest, start_of_frame + lying))
    outcome, peak = read_elsewhere(path)
    assert outcome.startswith("refused: ")
    assert peak < 600


def test_kinds_are_known_by_first_bytes(corpus):
    kinds = {
        "h264_gop12": "mp4",
        "h264_b_frames_mov": "mp4",
        "vp9": "matroska",
        "mpeg4_avi": "avi",
        "wmv": "asf",
        "h264_flv": "flv",
        "gif": "gif",
        "h264_ts": "mpegts",
        "mpeg2_ps": "mpegps",
    }
    for name, kind in kinds.items():
        path, _ = corpus(name)
        assert container_kind(path) == kind
        assert kind in DEMUXERS
        assert lost_parts(path, kind) is None


def test_transport_stream_cut_anywhere_is_known(corpus, tmp_path):
    path, _ = corpus("h264_ts")
    with open(path, "rb") as file:
        (tmp_path / "cut.ts").write_bytes(file.read()[100:])
    assert container_kind(str(tmp_path / "cut.ts")) == "mpegts"
