"""A prepared file shows the same frames at the same times, smaller and quick to decode."""

import errno
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.barcode import read_barcodes, write_barcodes
from tests.readers.corpus import turn
from videoclf.errors import ConfigError, StorageError, UnreadableVideoError
from videoclf.readers import reader_class
from videoclf.readers.pyav import PyavReader
from videoclf.readers.span import frame_span
from videoclf.tools import reencoding
from videoclf.tools.reencoding import Encoder, Encoding, Job

FAST = {"preset": "ultrafast"}
IRREGULAR = [40 * n + (17 * n * n) % 23 for n in range(30)]
SOURCES = {
    "wmv": (".wmv", {"codec": "wmv2"}),
    "avi_with_b_frames": (".avi", {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}}),
    "variable_rate": (".mkv", {"ticks": IRREGULAR, "options": FAST}),
    "late_start": (".mp4", {"ticks": [5000 + 40 * n for n in range(30)], "options": FAST}),
    "odd_size": (".mkv", {"codec": "ffv1", "height": 61, "width": 97, "pixel_format": "yuv444p"}),
    "ten_bit": (".mp4", {"pixel_format": "yuv420p10le", "options": FAST}),
    "film_rate": (".mp4", {"rate": Fraction(30000, 1001), "options": {"bf": "3"}}),
}


@pytest.fixture
def encode(tmp_path):
    """Return a function that prepares one file and returns what came of it, and a reader."""

    def run(source, start=None, end=None, **settings):
        target = tmp_path / "out" / "prepared.mp4"
        encoder = Encoder(Encoding(**{"short_side": 48, "preset": "ultrafast", **settings}))
        prepared = encoder(Job(str(source), str(target), start, end))
        assert prepared.problem is None, prepared.detail
        assert sorted(target.parent.iterdir()) == [target]
        return prepared, PyavReader(str(target), cache=False)

    return run


def read_all(reader):
    return read_barcodes(reader.frames(np.arange(reader.num_frames)))


@pytest.mark.parametrize("kind", SOURCES)
def test_frames_and_times_stay(tmp_path, encode, kind):
    suffix, settings = SOURCES[kind]
    source = write_barcodes(tmp_path / f"a{suffix}", range(30), **settings)
    prepared, reader = encode(source)
    with reader, PyavReader(str(source), cache=False) as original:
        assert prepared.num_frames == reader.num_frames == 30
        assert read_all(reader) == list(range(30))
        np.testing.assert_allclose(reader.times, original.times, atol=1e-6)
        assert reader.fps == pytest.approx(original.fps)
        assert (reader.height, reader.index.codec) == (48, "h264")
        assert np.all(np.diff(reader.index.key_timestamps) > 0)
        assert len(reader.index.key_timestamps) >= 3  # in 30 frames, one at least every 12


@pytest.mark.parametrize("backend", ["decord", "torchcodec"])
def test_every_reader_is_exact_on_it(tmp_path, encode, backend):
    source = write_barcodes(tmp_path / "a.avi", range(40), codec="mpeg4", options={"bf": "2"})
    _, reader = encode(source, short_side=64)  # decord refuses rows that are not padded to 32
    reader.close()
    with reader_class(backend)(reader.path) as other:
        assert read_barcodes(other.frames(np.array([39, 3, 17, 17, 25]))) == [39, 3, 17, 17, 25]


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
def test_rotation_is_applied(tmp_path, encode, matrix):
    source = write_barcodes(tmp_path / "a.mp4", range(5), options=FAST)
    turn(matrix)(source)
    _, reader = encode(source, crf=1)
    with reader, PyavReader(str(source), cache=False) as original:
        assert reader.index.orientation == (False, False, False)
        shown = original.frames(np.arange(5), short_side=48).astype(int)
        assert np.abs(reader.frames(np.arange(5)) - shown).mean() < 8


def test_small_videos_keep_their_size(tmp_path, encode):
    source = write_barcodes(tmp_path / "a.mp4", range(3), options=FAST)
    _, reader = encode(source, short_side=256)
    with reader:
        assert (reader.height, reader.width) == (64, 96)


def test_the_smallest_videos(tmp_path, encode):
    one = write_barcodes(tmp_path / "a.mp4", [7], height=18, width=18, options=FAST)
    _, reader = encode(one, short_side=16)
    with reader:
        assert (reader.num_frames, reader.height, reader.width) == (1, 16, 16)
    assert Encoding(short_side=16).size(17, 341) == (16, 320)
    assert Encoding().size(1, 7) == (2, 8)
    assert Encoding().size(720, 1280) == (256, 456)


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (0.0, 0.4), (0.4, 1.0), (0.41, 0.79), (1.16, None)]
)
def test_stretches(tmp_path, encode, start, end):
    source = write_barcodes(tmp_path / "a.mp4", range(30), options={"g": "8", "bf": "2"})
    _, reader = encode(source, start, end)
    with reader, PyavReader(str(source), cache=False) as original:
        first, last = frame_span("a.mp4", original.times, start, end)
        assert read_all(reader) == list(range(first, last))
        assert reader.times[0] == 0.0


def test_a_stretch_behind_the_end(tmp_path):
    source = write_barcodes(tmp_path / "a.mp4", range(5), options=FAST)
    prepared = Encoder(Encoding())(Job(str(source), str(tmp_path / "out" / "a.mp4"), 3.0, 5.0))
    assert prepared.problem == "unreadable"
    assert prepared.detail == "has no frame between 3 s and 5 s; it is 0.16 s long"


def sound(path):
    """Return rate, channels, begin and length in seconds of a file's sound, None without."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        frames = list(container.decode(audio=0))
    begin = float(frames[0].pts * frames[0].time_base)
    samples = sum(frame.samples for frame in frames)
    return frames[0].sample_rate, len(frames[0].layout.channels), begin, samples / frames[0].rate


def test_sound_is_kept_on_request(tmp_path, encode):
    source = write_barcodes(tmp_path / "a.mp4", range(50), options=FAST, audio_seconds=3.0)
    prepared, reader = encode(source)
    reader.close()
    assert sound(prepared.job.target) is None
    prepared, reader = encode(source, audio=True)
    with reader:
        assert read_all(reader) == list(range(50))
    rate, channels, begin, length = sound(prepared.job.target)
    assert (rate, channels) == sound(source)[:2]
    assert begin == pytest.approx(0.0, abs=0.08)  # within a block of samples
    assert length == pytest.approx(2.0, abs=0.2)  # as long as the pictures
    prepared, reader = encode(source, 1.0, 1.5, audio=True)
    reader.close()
    assert sound(prepared.job.target)[3] == pytest.approx(0.5, abs=0.2)


def test_silent_videos_stay_silent(tmp_path, encode):
    source = write_barcodes(tmp_path / "a.mp4", range(5), options=FAST)
    prepared, reader = encode(source, audio=True)
    reader.close()
    assert sound(prepared.job.target) is None


def test_a_damaged_video_leaves_nothing(tmp_path):
    source = write_barcodes(tmp_path / "a.mp4", range(40), options={"g": "10", "crf": "1"})
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    source.write_bytes(data)
    prepared = Encoder(Encoding())(Job(str(source), str(tmp_path / "out" / "a.mp4")))
    assert prepared.problem == "unreadable"
    assert "damaged" in prepared.detail
    assert list((tmp_path / "out").iterdir()) == []


def test_what_was_written_wrong_takes_no_name(tmp_path, monkeypatch):
    source = write_barcodes(tmp_path / "a.mp4", range(10), options=FAST)
    monkeypatch.setattr(reencoding, "_verify", lambda *_: fail("came out wrong"))
    prepared = Encoder(Encoding())(Job(str(source), str(tmp_path / "out" / "a.mp4")))
    assert (prepared.problem, prepared.detail) == ("not verified", "came out wrong")
    assert list((tmp_path / "out").iterdir()) == []


def fail(reason):
    raise UnreadableVideoError("a.part", reason)


def test_verifying_compares_frames_times_and_size(tmp_path):
    path = write_barcodes(tmp_path / "a.mp4", range(10), options=FAST)
    clock = Fraction(1, 25)
    reencoding._verify(path, list(range(10)), clock, (64, 96))
    for ticks, size, reason in (
        (range(11), (64, 96), "came out with 10 of 11 frames"),
        (range(0, 20, 2), (64, 96), r"came out with frames 0\.3600 s off"),
        (range(10), (64, 98), "came out as 96x64"),
    ):
        with pytest.raises(UnreadableVideoError, match=reason):
            reencoding._verify(path, list(ticks), clock, size)


def test_a_full_disk_stops_everything(tmp_path, monkeypatch):
    source = write_barcodes(tmp_path / "a.mp4", range(5), options=FAST)

    def full(*_):
        raise av.error.OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reencoding, "_verify", full)
    with pytest.raises(StorageError, match=r"cannot write .*a\.mp4: No space left .* make room"):
        Encoder(Encoding())(Job(str(source), str(tmp_path / "out" / "a.mp4")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"short_side": 8}, "at least 16 pixels, not 8"),
        ({"gop_frames": 0}, "at least 1 frame, not 0"),
        ({"crf": 60}, "from 0 to 51, not 60"),
        ({"preset": "quick"}, "'quick' is none of x264's: ultrafast"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        Encoding(**settings)
