import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.barcode import read_barcodes, write_barcodes
from tests.predicting.films import DARK, LIGHT, Brightness, predictor_of, write_grey
from videoclf.errors import UnreadableVideoError
from videoclf.predicting.segments import merge
from videoclf.predicting.timeline import clip_seconds, slide
from videoclf.readers import demux
from videoclf.readers.forward import ForwardReader
from videoclf.samplers.dense import DenseSampler
from videoclf.samplers.segments import SegmentSampler


def test_a_window_shows_the_frames_that_an_evaluation_of_it_would(trained_run, tmp_path):
    film = write_barcodes(tmp_path / "film.mp4", range(60), height=64, width=64)  # 25 fps, 2.4 s
    model = Brightness(remember=True)
    predictor = predictor_of(trained_run, model, num_frames=4, stride=3, num_clips=2)
    found = slide(predictor, film, window_seconds=0.8, stride_seconds=0.4)
    scored = list(found.scored)
    assert [window.number for window in scored] == [0, 1, 2, 3, 4]
    assert found.windows.starts == pytest.approx([0, 0.4, 0.8, 1.2, 1.6])
    expected = [
        (first + clip).tolist()
        for first in (0, 10, 20, 30, 40)
        for clip in predictor.reading.sampler.eval_clips(20, 25.0, 2)
    ]
    assert [read_barcodes(clip) for clip in model.clips] == expected


def test_the_label_changes_where_the_film_does(trained_run, tmp_path):
    film = write_grey(tmp_path / "film.mp4", [DARK] * 60 + [LIGHT] * 40)  # at 3.0 of 5.0 s
    predictor = predictor_of(trained_run, Brightness())
    found = slide(predictor, film, window_seconds=0.5, stride_seconds=0.25)
    scores = np.stack([window.probabilities for window in found.scored])
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-6)
    segments = merge(found.windows.bounds, scores.argmax(1), scores.max(1), ["dark", "light"])
    assert [segment.label for segment in segments] == ["dark", "light"]
    assert segments[0].start == 0
    assert segments[0].end == segments[1].start == pytest.approx(3.0, abs=0.125)
    assert segments[1].end == pytest.approx(5.0)


def test_nothing_is_decoded_twice(trained_run, tmp_path, monkeypatch):
    numbers = [n % 256 for n in range(600)]
    film = write_barcodes(tmp_path / "film.mp4", numbers, height=64, width=64)
    with ForwardReader(str(film)) as reader:  # its index is made, and kept
        assert reader.num_frames == 600
    decoded = []

    def counting(opened, packet, started):
        frames = packet.decode()
        decoded.extend(frames)
        return frames

    monkeypatch.setattr(demux, "decode_packet", counting)
    model = Brightness(remember=True)
    predictor = predictor_of(trained_run, model, num_frames=8, stride=1)
    windows = list(slide(predictor, film, window_seconds=1, stride_seconds=0.1).scored)
    assert len(windows) == 231
    assert len(decoded) == 591  # the last clip ends there
    first = [read_barcodes(clip)[0] for clip in model.clips]
    assert first[:3] == [8, 11, 13]  # 8 of 25 frames, from the middle of windows at 0, 3 and 5
    assert first[-1] == (600 - 25 + 8) % 256


def test_memory_does_not_grow_with_the_film(trained_run, tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed: there is no long film to join")
    short = write_barcodes(tmp_path / "short.mp4", range(100), height=64, width=64)
    long = tmp_path / "long.mp4"
    command = ["ffmpeg", "-loglevel", "error", "-stream_loop", "79", "-i", str(short)]
    subprocess.run([*command, "-c", "copy", str(long)], check=True)
    predictor = predictor_of(trained_run, Brightness())

    def largest(film):
        windows = slide(predictor, film, window_seconds=1, stride_seconds=0.5).scored
        return max(resident_megabytes() for _ in windows)

    before = largest(short)
    # 8000 frames, which would be 98 MB
    assert largest(long) < before + 25


def resident_megabytes():
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except FileNotFoundError:
        pytest.skip("needs /proc")
    return pages * 4096 / 1e6


def test_a_film_shorter_than_a_window_is_one(trained_run, tmp_path):
    film = write_grey(tmp_path / "film.mp4", [LIGHT] * 3)
    found = slide(predictor_of(trained_run, Brightness()), film, window_seconds=4)
    (window,) = found.scored
    assert found.windows.window_seconds == pytest.approx(0.15)
    assert window.probabilities.argmax() == 1


def test_a_missing_film_is_said(trained_run, tmp_path):
    with pytest.raises(UnreadableVideoError, match="does not exist"):
        slide(predictor_of(trained_run, Brightness()), tmp_path / "none.mp4")


def test_the_length_of_a_clip():
    by_stride = DenseSampler(num_frames=16, stride=2, fps=None, padding="last")
    by_rate = DenseSampler(num_frames=16, stride=None, fps=8, padding="last")
    assert clip_seconds(by_stride, 25.0) == pytest.approx(1.28)
    assert clip_seconds(by_rate, 25.0) == 2
    assert clip_seconds(SegmentSampler(num_frames=8), 25.0) == 4
