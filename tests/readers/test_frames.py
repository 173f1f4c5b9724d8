"""Folders of pictures: natural order, nothing missing, nothing mixed; and the table of readers."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.barcode import draw_barcode, read_barcodes
from videoclf.errors import UnreadableVideoError
from videoclf.readers import READERS, reader_class
from videoclf.readers.frames import FramesReader
from videoclf.readers.safety import Limits


def write_frames(folder, numbers, pattern="img_{}.png", mode="RGB"):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.fromarray(draw_barcode(number)).convert(mode).save(folder / pattern.format(number))
    return str(folder)


@pytest.mark.parametrize(
    ("pattern", "mode"),
    [("img_{}.png", "RGB"), ("{:05d}.jpg", "RGB"), ("a1_{}_x.png", "L"), ("b-{}.png", "P")],
)
def test_every_frame_in_natural_order(tmp_path, pattern, mode):
    path = write_frames(tmp_path / "film", range(1, 13), pattern, mode)
    (tmp_path / "film" / "notes.txt").write_text("no picture")
    (tmp_path / "film" / ".hidden.png").write_text("no picture")
    with FramesReader(path) as reader:
        assert (reader.num_frames, reader.fps) == (12, 25.0)
        assert (reader.height, reader.width) == (64, 96)
        np.testing.assert_allclose(reader.times, np.arange(12) / 25)
        assert read_barcodes(reader.frames(np.arange(12))) == list(range(1, 13))
        clip = reader.frames(np.array([11, 0, 11]), short_side=32)
        assert clip.shape == (3, 32, 48, 3)
        assert clip.dtype == np.uint8
        assert read_barcodes(clip) == [12, 1, 12]
        assert reader.frames(np.array([], np.int64)).shape == (0, 64, 96, 3)
        with pytest.raises(IndexError, match="frame 12 is outside a video of 12 frames"):
            reader.frames(np.array([12]))


def test_rate_and_steps(tmp_path):
    path = write_frames(tmp_path / "film", range(5, 30, 5))
    reader = FramesReader(path, fps=5)
    np.testing.assert_allclose(reader.times, [0, 0.2, 0.4, 0.6, 0.8])
    with pytest.raises(ValueError, match="fps must be positive, not 0"):
        FramesReader(path, fps=0)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "is a folder without pictures"),
        (["img_1.png", "img_2.png", "img_4.png"], "the picture number 3 is missing"),
        (["img_1.png", "img_01.png", "img_2.png"], "the picture number 1 is there twice"),
        (["x_1.png", "x_2.png", "y_1.png"], r"holds 2 series of pictures \(as x_2.png, y_1.png\)"),
        (["img_1.png", "cover.png"], "the picture cover.png has no number in its name"),
    ],
)
def test_a_folder_that_is_no_film_is_refused(tmp_path, names, reason):
    folder = tmp_path / "film"
    folder.mkdir()
    for name in names:
        Image.fromarray(draw_barcode(1)).save(folder / name)
    with pytest.raises(UnreadableVideoError, match=reason):
        FramesReader(str(folder))


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"abc")
    with pytest.raises(UnreadableVideoError, match="is a file, not a folder of frames"):
        FramesReader(str(tmp_path / "a.mp4"))
    with pytest.raises(UnreadableVideoError, match="does not exist"):
        FramesReader(str(tmp_path / "missing"))


def test_damaged_pictures_are_named(tmp_path):
    path = write_frames(tmp_path / "film", range(1, 6))
    whole = (tmp_path / "film" / "img_3.png").read_bytes()
    (tmp_path / "film" / "img_3.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "film" / "img_4.png").write_bytes(b"nonsense")
    Image.fromarray(draw_barcode(5, 32, 48)).save(tmp_path / "film" / "img_5.png")
    with FramesReader(path) as reader:
        assert read_barcodes(reader.frames(np.array([0, 1]))) == [1, 2]
        with pytest.raises(UnreadableVideoError, match=r"img_3.png is damaged"):
            reader.frames(np.array([2]))
        with pytest.raises(UnreadableVideoError, match=r"img_4.png is no picture that can be read"):
            reader.frames(np.array([3]))
        with pytest.raises(UnreadableVideoError, match=r"img_5.png is 48x32, not 96x64"):
            reader.frames(np.array([4]))


def test_limits(tmp_path):
    path = write_frames(tmp_path / "film", range(1, 6))
    with pytest.raises(UnreadableVideoError, match="96x64 exceed the limit of 100 pixels"):
        FramesReader(path, limits=Limits(max_pixels=100))
    with pytest.raises(UnreadableVideoError, match="has more than 4 frames"):
        FramesReader(path, limits=Limits(max_frames=4))


def test_the_table_of_readers(tmp_path):
    assert list(READERS) == ["pyav", "decord", "torchcodec", "decoded", "frames"]
    path = write_frames(tmp_path / "film", range(1, 3))
    with reader_class("frames")(path) as reader:
        assert reader.num_frames == 2
    with pytest.raises(ValueError, match=r"unknown reader 'torchcodek': did you mean 'torchcodec'"):
        reader_class("torchcodek")
