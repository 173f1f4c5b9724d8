import re

import numpy as np
import pytest

from tests.barcode import read_barcodes, write_barcodes
from videoclf.cache import cache_folder
from videoclf.errors import UnreadableVideoError
from videoclf.readers import decoded
from videoclf.readers.decoded import DecodedReader
from videoclf.readers.pyav import PyavReader


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.mp4"
    write_barcodes(path, range(12))
    return path


def kept_files():
    return sorted((cache_folder() / "decoded").rglob("*.npy"))


def test_frames_are_those_of_pyav_and_kept_once(video):
    indices = np.array([7, 0, 7, 11])
    with PyavReader(str(video)) as reader:
        expected = reader.frames(indices)
        facts = reader.num_frames, reader.fps, reader.height, reader.width, reader.times.tolist()
    for _ in range(2):
        with DecodedReader(str(video)) as reader:
            np.testing.assert_array_equal(reader.frames(indices), expected)
            assert reader.frames(indices).flags.writeable
            assert facts == (
                reader.num_frames,
                reader.fps,
                reader.height,
                reader.width,
                reader.times.tolist(),
            )
        assert len(kept_files()) == 1
    assert read_barcodes(expected) == [7, 0, 7, 11]


def test_another_size_is_decoded_anew(video):
    with PyavReader(str(video)) as reader:
        expected = reader.frames(np.array([3]), short_side=32)
    with DecodedReader(str(video)) as reader:
        np.testing.assert_array_equal(reader.frames(np.array([3]), short_side=32), expected)
        assert reader.frames(np.array([3]), short_side=reader.height).shape[1] == reader.height


def test_a_changed_file_is_decoded_again(video):
    with DecodedReader(str(video)) as reader:
        before = reader.num_frames
    write_barcodes(video, range(9))
    with DecodedReader(str(video)) as reader:
        assert (before, reader.num_frames) == (12, 9)


def test_wrong_indices_and_files(video, tmp_path, monkeypatch):
    with DecodedReader(str(video)) as reader, pytest.raises(IndexError):
        reader.frames(np.array([12]))
    with pytest.raises(UnreadableVideoError, match="does not exist"):
        DecodedReader(str(tmp_path / "none.mp4"))
    monkeypatch.setattr(decoded, "MAX_BYTES", 1000)
    other = tmp_path / "other.mp4"
    write_barcodes(other, range(4))
    with pytest.raises(UnreadableVideoError, match=re.escape("use data.reader=pyav")):
        DecodedReader(str(other))
