import base64
import io

import numpy as np
import pytest
from PIL import Image

from videoclf.errors import DataError
from videoclf.reports.html import write_report
from videoclf.reports.reconstructions import (
    FILE,
    Reconstruction,
    read_reconstructions,
    small,
    write_reconstructions,
)


def reconstruction(path="a/b.mp4", num_frames=4, pixels=16):
    frames = np.zeros((3, num_frames, pixels, pixels, 3), np.uint8)
    frames[:] = np.array([0, 100, 200])[:, None, None, None, None]  # a grey of its own a row
    counts = {"num_hidden": 24, "num_tubelets": 32}
    return Reconstruction(path, frames, loss=0.5, **counts, normalised=True)


def test_rows_are_read_as_they_were_written(tmp_path):
    write_reconstructions(tmp_path, [reconstruction(), reconstruction("c.mp4")])
    found = read_reconstructions(tmp_path)
    assert (found.num_hidden, found.num_tubelets, found.normalised) == (24, 32, True)
    assert [clip.path for clip in found.shown] == ["a/b.mp4", "c.mp4"]
    rows = dict(found.shown[0].rows)
    assert list(rows) == ["original", "masked", "reconstructed"]
    for address, grey in zip(rows.values(), (0, 100, 200), strict=True):
        content = base64.b64decode(address.partition("base64,")[2])
        picture = np.asarray(Image.open(io.BytesIO(content)))
        assert picture.shape == (112, 4 * 112 + 3 * 3, 3)
        assert abs(int(picture[50, 50, 0]) - grey) < 6


def test_long_and_large_clips_are_made_small():
    clip = np.zeros((16, 224, 298, 3), np.uint8)
    clip[:, 0, 0] = np.arange(16)[:, None]
    assert small(clip).shape == (8, 112, 149, 3)


def test_a_run_without_any_shows_none(tmp_path):
    assert read_reconstructions(tmp_path) is None


def test_a_damaged_file_is_said_to_be_so(tmp_path):
    (tmp_path / FILE).write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match=r"reconstructions.npz: .*; evaluate the run again"):
        read_reconstructions(tmp_path)


def test_the_page_shows_them_with_their_names_escaped(make_run):
    folder = make_run()
    write_reconstructions(folder, [reconstruction("<i>.mp4")])
    page = write_report(folder, root=None).read_text(encoding="utf-8")
    assert "24 of 32 tubelets" in page
    assert "&lt;i&gt;.mp4" in page
    assert "loss 0.500" in page
    assert page.count('film-row">') == 3
