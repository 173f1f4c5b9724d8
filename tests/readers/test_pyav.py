"""PyAV: every frame right in every case, damage named, nothing left open."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import videoclf.readers.demux
import videoclf.readers.indexed
import videoclf.readers.pyav
from tests.barcode import draw_barcode, read_barcodes, write_barcodes
from tests.readers.checks import check_every_frame
from tests.readers.corpus import CASES, turn
from videoclf.errors import UnreadableVideoError
from videoclf.readers.pyav import PyavReader

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
DAMAGED = {"decord/corrupted.mp4"}


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_every_frame_is_right(corpus, name):
    path, case = corpus(name)
    check_every_frame(PyavReader, path, case.numbers)


@pytest.mark.parametrize("name", ["vfr", "vfr_mkv", "starts_at_5s", "starts_at_5s_ts"])
def test_times_are_those_of_presentation(corpus, name):
    path, case = corpus(name)
    with PyavReader(path) as reader:
        np.testing.assert_allclose(reader.times, case.times, atol=1e-3)
        assert reader.fps == pytest.approx((len(case.times) - 1) / case.times[-1], rel=1e-3)


def test_rate_is_exact_where_it_is_steady(corpus):
    with PyavReader(corpus("h264_b_frames")[0]) as reader:
        assert reader.fps == 25.0
    with PyavReader(corpus("one_frame")[0]) as reader:
        assert reader.fps == 25.0


def test_frames_come_in_the_order_asked_for(corpus):
    path, _ = corpus("h264_b_frames")
    with PyavReader(path) as reader:
        clip = reader.frames(np.array([40, 3, 3, 59, 0, 40]))
        assert read_barcodes(clip) == [40, 3, 3, 59, 0, 40]
        assert reader.frames(np.array([], np.int64)).shape == (0, 64, 96, 3)


def test_one_call_opens_the_file_once(corpus, monkeypatch):
    path, _ = corpus("h264_gop12")
    opened = []

    def count(*arguments):
        opened.append(arguments)
        return original(*arguments)

    original = videoclf.readers.pyav.open_video
    monkeypatch.setattr(videoclf.readers.pyav, "open_video", count)
    monkeypatch.setattr(videoclf.readers.indexed, "open_video", count)
    with PyavReader(path, cache=False) as reader:
        reader.frames(np.array([50, 1, 30, 2]))
    assert len(opened) == 1


@pytest.mark.parametrize(
    "name", ["h264_gop12", "h264_b_frames", "h264_b_frames_mkv", "h264_open_gop", "vfr_mkv"]
)
def test_sparse_frames_of_one_reader(corpus, name):
    path, case = corpus(name)
    numbers = np.array(case.numbers)
    generator = np.random.default_rng(0)
    with PyavReader(path) as reader:
        for count in (2, 3, 5, 9) * 5:
            indices = np.sort(generator.choice(len(numbers), count, replace=False))
            assert read_barcodes(reader.frames(indices)) == numbers[indices].tolist()


def test_what_follows_a_wanted_frame_is_not_decoded(corpus, monkeypatch):
    path, _ = corpus("h264_b_frames")  # GOP 12, three B-frames between others
    PyavReader(path).close()
    given = []
    real = videoclf.readers.demux.decode_packet
    monkeypatch.setattr(
        videoclf.readers.demux,
        "decode_packet",
        lambda opened, packet, started: given.append(packet.pts) or real(opened, packet, started),
    )
    with PyavReader(path) as reader:
        assert read_barcodes(reader.frames(np.array([4, 28]))) == [4, 28]
        first = [pts for pts in given if pts < reader.index.timestamps[12]]
        # Frame 4 is a P-frame, which stands behind the keyframe and before the B-frames 1 to 3.
        assert first == [reader.index.timestamps[0], reader.index.timestamps[4]]


@pytest.mark.parametrize("index", [-1, 60, 10**9])
def test_an_index_outside_names_itself(corpus, index):
    with (
        PyavReader(corpus("h264_gop12")[0]) as reader,
        pytest.raises(IndexError, match=f"frame {index} is outside a video of 60 frames"),
    ):
        reader.frames(np.array([0, index]))


def test_chunks_of_a_sequence(corpus):
    path, _ = corpus("h264_b_frames")
    with PyavReader(path) as reader:
        everything = reader.frames(np.arange(60))
        for start in (0, 7, 14, 21, 40, 47):
            chunk = np.arange(start, start + 7)
            assert np.array_equal(reader.frames(chunk), everything[chunk])


ROTATIONS = {
    # display matrix (a, b, c, d): how the coded picture appears on screen
    "0": ((1, 0, 0, 1), lambda picture: picture),
    "90 clockwise": ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),
    "180": ((-1, 0, 0, -1), lambda picture: np.rot90(picture, 2)),
    "270 clockwise": ((0, -1, 1, 0), lambda picture: np.rot90(picture, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    "mirrored and turned": ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", ROTATIONS)
@pytest.mark.parametrize("short_side", [None, 32])
def test_rotation_is_applied(tmp_path, name, short_side):
    matrix, shown = ROTATIONS[name]
    path = write_barcodes(tmp_path / "plain.mp4", range(5))
    with PyavReader(str(path)) as reader:
        expected = np.stack([shown(p) for p in reader.frames(np.arange(5), short_side=short_side)])
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(path.read_bytes())
    turn(matrix)(turned)
    with PyavReader(str(turned)) as reader:
        clip = reader.frames(np.arange(5), short_side=short_side)
        assert np.array_equal(clip, expected)
        if short_side is None:
            assert (reader.height, reader.width) == clip.shape[1:3]


@pytest.mark.parametrize(
    ("height", "width", "short_side", "expected"),
    [
        (64, 96, 32, (32, 48)),
        (96, 64, 32, (48, 32)),
        (64, 96, 128, (128, 192)),
        (64, 98, 32, (32, 49)),
    ],
)
def test_short_side(tmp_path, height, width, short_side, expected):
    path = write_barcodes(tmp_path / "a.mp4", range(40, 43), height=height, width=width)
    with PyavReader(str(path)) as reader:
        clip = reader.frames(np.arange(3), short_side=short_side)
        assert clip.shape[1:3] == expected
        assert read_barcodes(clip) == [40, 41, 42]
        with pytest.raises(ValueError, match="short_side must be at least 1 pixel, not 0"):
            reader.frames(np.arange(3), short_side=0)


def write_picture(path, planes, **options):
    """Write three equal frames of a yuv444p picture, (3, H, W), without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0", **options})
        stream.width, stream.height, stream.pix_fmt = planes.shape[2], planes.shape[1], "yuv444p"
        for place in range(3):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
            frame.pts, frame.time_base = place, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


def test_shrinking_does_not_alias(tmp_path):
    planes = np.full((3, 96, 128), 128, np.uint8)
    planes[0] = np.where(np.arange(128) % 4 < 2, 40, 200)
    path = write_picture(tmp_path / "stripes.mp4", planes)
    with PyavReader(path) as reader:
        clip = reader.frames(np.array([1]), short_side=24)
    # Without antialiasing each output pixel is one stripe or the other.
    assert clip[0, 2:-2, 2:-2].std() < 8


@pytest.mark.parametrize(
    ("colours", "matrix", "colour_range"),
    [
        ((81, 90, 240), "smpte170m", "tv"),
        ((63, 102, 240), "bt709", "tv"),
        ((54, 99, 255), "bt709", "pc"),
    ],
)
def test_red_is_red_in_every_colour_space(tmp_path, colours, matrix, colour_range):
    planes = np.empty((3, 64, 96), np.uint8)
    planes[:] = np.array(colours)[:, None, None]
    options = {"colorspace": matrix, "color_range": colour_range}
    path = write_picture(tmp_path / "red.mp4", planes, **options)
    with PyavReader(path) as reader:
        assert np.abs(reader.frames(np.array([0]))[0].astype(int) - (255, 0, 0)).max() <= 4


def test_frame_counts_equal_those_of_ffmpeg():
    if not (SHARED / "clips" / "ffprobe.json").exists():
        pytest.skip("needs the shared clips beside the project")
    probed = json.loads((SHARED / "clips" / "ffprobe.json").read_text())
    compared = 0
    for name, facts in probed.items():
        count = facts["frames_decoded"].strip(",")
        path = str(SHARED / "clips" / name)
        if name in DAMAGED or not count.isdigit():
            with pytest.raises(UnreadableVideoError), PyavReader(path) as reader:
                reader.frames(np.arange(reader.num_frames), short_side=32)
            continue
        with PyavReader(path) as reader:
            assert reader.num_frames == int(count), name
            size = (int(side) for side in facts["wh"].split("x"))
            assert sorted((reader.width, reader.height)) == sorted(size), name
            compared += 1
    assert compared >= 45


def test_sparse_frames_of_real_files_equal_those_of_a_full_pass():
    if not SHARED.exists():
        pytest.skip("needs the shared clips beside the project")
    names = ["clips/mmaction2/part_0.mp4", "clips/sample-videos/milk.mkv"]
    names += ["clips/C3D/v_BaseballPitch_g01_c01.avi", "clips/torchcodec/h265_video.mp4"]
    for name in names:
        with PyavReader(str(SHARED / name)) as reader:
            everything = reader.frames(np.arange(reader.num_frames), short_side=64)
            sparse = np.arange(3, reader.num_frames, 7)
            assert np.array_equal(reader.frames(sparse, short_side=64), everything[sparse])


def test_close_releases_the_file(corpus):
    path, _ = corpus("h264_ts")
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to count open files")
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    reader = PyavReader(path)
    reader.frames(np.array([3]))
    assert len(os.listdir("/proc/self/fd")) > before
    reader.close()
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(UnreadableVideoError), PyavReader(__file__):
        pass
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_importing_needs_no_other_backend():
    code = (
        "import sys, videoclf.readers.pyav; "
        "print(sorted({'torch', 'decord', 'torchcodec', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_barcodes_are_told_apart():
    pictures = np.stack([draw_barcode(number) for number in range(256)])
    assert read_barcodes(pictures) == list(range(256))
    assert read_barcodes(pictures[:1] // 4 + 96) == [-1]
