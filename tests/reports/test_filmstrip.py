import base64
import io
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from videoclf.errors import UnreadableVideoError
from videoclf.reports.filmstrip import GAP_PIXELS, filmstrip, read_evenly, strip_jpeg

FPS = 10


@pytest.fixture
def video(tmp_path):
    """Twenty frames of 48 x 32; each shows its number as its brightness, 10 a frame."""
    path = tmp_path / "grey.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "bgr0"
        stream.time_base = Fraction(1, FPS)
        for number in range(20):
            pixels = np.full((32, 48, 3), 10 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_frames_are_spread_from_the_first_to_the_last(video):
    frames = read_evenly(video, None, None, 3, 32)
    assert frames.shape == (3, 32, 48, 3)
    assert frames[:, 0, 0, 0] // 10 == pytest.approx([0, 10, 19], abs=1)


def test_frames_stay_between_start_and_end(video):
    frames = read_evenly(video, 0.5, 1.0, 5, 32)
    assert list(np.rint(frames[:, 0, 0, 0] / 10)) == [5, 6, 7, 8, 9]
    late = read_evenly(video, 90.0, 95.0, 2, 32)
    assert list(np.rint(late[:, 0, 0, 0] / 10)) == [19, 19]


def test_a_strip_is_one_jpeg():
    frames = np.zeros((4, 10, 20, 3), np.uint8)
    frames[3] = 255
    picture = np.asarray(Image.open(io.BytesIO(strip_jpeg(frames, quality=95))))
    assert picture.shape == (10, 4 * 20 + 3 * GAP_PIXELS, 3)
    assert picture[5, 5].max() < 20
    assert picture[5, -5].min() > 235


def test_a_filmstrip_has_two_halves(tmp_path, read_grey):
    (tmp_path / "a.avi").touch()
    strip = filmstrip(tmp_path, "a.avi", None, None, read_frames=read_grey)
    assert (len(strip.halves), strip.reason) == (2, "")
    picture = Image.open(io.BytesIO(base64.b64decode(strip.halves[1].split(",")[1])))
    assert picture.size == (strip.width, strip.height)


def test_the_reason_stands_in_place_of_the_frames(tmp_path):
    def fail(error):
        def read(*_):
            raise error

        return filmstrip(tmp_path, "a.avi", None, None, read_frames=read).reason

    (tmp_path / "a.avi").touch()
    assert fail(UnreadableVideoError("a.avi", "no video stream")) == "no video stream"
    assert fail(OSError("gone")) == "OSError: gone"
    assert filmstrip(None, "a.avi", None, None).reason == "the data root was not given"
    assert "no longer" in filmstrip(tmp_path, "b.avi", None, None).reason
    assert filmstrip(tmp_path, "a.avi", None, None).reason  # empty file, real reader


@pytest.mark.parametrize("path", ["../a.avi", "/etc/passwd", "a/../../b", "http://x/y", "a\0b"])
def test_nothing_outside_the_root_is_opened(tmp_path, read_grey, path):
    strip = filmstrip(tmp_path, path, None, None, read_frames=read_grey)
    assert strip.reason == "the path leads out of the data root"
