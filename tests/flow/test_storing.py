"""A video to a file of flow and back: times, codes, losses, and files that are none."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests.barcode import write_barcodes
from tests.flow.known_motion import moved, texture, translation
from videoclf.errors import ConfigError, UnreadableVideoError
from videoclf.flow.dis import Dis
from videoclf.flow.farneback import Farneback
from videoclf.flow.header import FlowHeader
from videoclf.flow.quantisation import Quantisation, mirrored
from videoclf.flow.stored import StoredFlow, read_header
from videoclf.flow.storing import PAIRS_AT_ONCE, FlowEncoder
from videoclf.generated.encode import write_video
from videoclf.readers import reader_class
from videoclf.readers.pyav import PyavReader
from videoclf.tools.reencoding import Job

#: of the largest value that float32 has to hold
FLOAT_ROUNDING = 2.0**-22


def panning(num_frames, height=48, width=70):
    """Frames of a texture that moves ever faster to the right."""
    picture = texture(height, width)
    return np.stack([moved(picture, translation(t * t / 40, 0)) for t in range(num_frames)])


def encoder(**settings):
    settings = {"bound": 20.0, "estimator": Farneback(), **settings}
    return FlowEncoder(
        "farneback", settings.pop("estimator"), Quantisation(settings.pop("bound")), **settings
    )


def test_the_round_trip_is_within_half_a_step(tmp_path):
    source, target = tmp_path / "a.mp4", tmp_path / "flow" / "a.mp4"
    num_frames = 2 * PAIRS_AT_ONCE + 3  # more than two portions
    write_video(source, panning(num_frames), frames_per_second=25)
    written = encoder()(Job(str(source), str(target)))
    assert (written.problem, written.num_frames) == (None, num_frames - 1)
    with PyavReader(str(source), cache=False) as reader:
        frames, times = reader.frames(np.arange(num_frames)), reader.times
    expected = Farneback().estimate(frames)
    with StoredFlow(str(target), cache=False) as stored:
        assert (stored.num_frames, stored.height, stored.width) == (num_frames - 1, 48, 70)
        assert np.array_equal(stored.times, times[:-1])
        fields = stored.fields(np.arange(num_frames - 1))
        half = stored.quantisation.step_pixels / 2
        clipped = np.clip(expected, -20, 20)
        assert np.abs(fields - clipped).max() <= half + 20 * FLOAT_ROUNDING
        picked = stored.fields(np.array([30, 2, 2, 17]))
        assert np.array_equal(picked, fields[[30, 2, 2, 17]])
        codes = stored.codes(np.arange(3))
        assert np.array_equal(mirrored(mirrored(codes)), codes)
        with pytest.raises(IndexError, match="frame 34 is outside a video of 34 frames"):
            stored.codes(np.array([34]))
    sizes = np.abs(expected)
    assert written.num_values == sizes.size
    assert written.num_clipped == (sizes > 20).sum()
    assert written.largest_pixels == sizes.max()
    assert written.rounding_largest == pytest.approx(np.abs(fields - clipped).max(), abs=1e-6)
    assert 0 < written.rounding_sum / sizes.size < half


def test_a_small_bound_is_counted(tmp_path):
    write_video(tmp_path / "a.mp4", panning(12), frames_per_second=25)
    job = Job(str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"))
    written = encoder(bound=0.3)(job)
    assert 0.05 < written.num_clipped / written.num_values < 0.9
    assert written.rounding_largest <= 0.3 / 255 * (1 + 1e-3)
    with StoredFlow(job.target, cache=False) as stored:
        assert stored.header.bound_pixels == 0.3
        assert stored.fields(np.arange(11)).max() == pytest.approx(0.3)


def test_the_header_says_how_it_was_made(tmp_path):
    write_video(tmp_path / "a.mp4", panning(3, 64, 96), frames_per_second=25)
    job = Job(str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"))
    encode = FlowEncoder("dis", Dis(preset="fast"), Quantisation(16.0), 32, backward=True)
    assert encode(job).problem is None
    assert read_header(job.target) == FlowHeader(
        method="dis",
        settings={"preset": "fast", "refinements": None},
        backward=True,
        bound_pixels=16.0,
        source_frames=3,
        source_height=64,
        source_width=96,
    )
    with StoredFlow(job.target, cache=False) as stored:
        assert (stored.height, stored.width) == (32, 48)


@pytest.mark.parametrize("reader", ["pyav", "torchcodec"])
def test_readers_of_videos_read_it_exactly(tmp_path, reader):
    if reader == "torchcodec":
        pytest.importorskip("torchcodec.decoders")
    write_video(tmp_path / "a.mp4", panning(6), frames_per_second=25)
    job = Job(str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4"))
    encoder()(job)
    with StoredFlow(job.target, cache=False) as stored:
        codes = stored.codes(np.arange(5))
    with reader_class(reader)(job.target) as video:
        assert np.array_equal(video.frames(np.arange(5))[..., :2], codes)


def test_times_of_a_variable_frame_rate(tmp_path):
    ticks = [0, 33, 67, 200, 233, 300]
    source = write_barcodes(tmp_path / "a.mp4", range(6), ticks=ticks)
    job = Job(str(source), str(tmp_path / "b.mp4"))
    assert encoder()(job).problem is None
    with StoredFlow(job.target, cache=False) as stored, PyavReader(str(source)) as video:
        assert np.abs(stored.times - video.times[:-1]).max() < 1e-9


def test_ntsc_times(tmp_path):
    source = write_barcodes(tmp_path / "a.mp4", range(40), rate=Fraction(30000, 1001))
    job = Job(str(source), str(tmp_path / "b.mp4"))
    assert encoder()(job).problem is None
    with StoredFlow(job.target, cache=False) as stored, PyavReader(str(source)) as video:
        assert np.array_equal(stored.times, video.times[:-1])
        assert stored.fps == pytest.approx(30000 / 1001)


def test_folders_of_pictures(tmp_path):
    (tmp_path / "a").mkdir()
    frames = panning(4)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "a" / f"{number}.png")
    job = Job(str(tmp_path / "a"), str(tmp_path / "a.mp4"))
    written = encoder(folders=True)(job)
    assert (written.problem, written.num_frames) == (None, 3)
    with StoredFlow(job.target, cache=False) as stored:
        off = np.abs(stored.fields(np.arange(3)) - Farneback().estimate(frames)).max()
        assert off <= stored.quantisation.step_pixels / 2 + 20 * FLOAT_ROUNDING


def test_one_frame_has_no_flow(tmp_path):
    write_video(tmp_path / "a.mp4", panning(1), frames_per_second=25)
    written = encoder()(Job(str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")))
    assert (written.problem, written.detail) == ("unreadable", "has one frame; flow needs two")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


def test_files_that_are_no_flow(tmp_path):
    write_video(tmp_path / "a.mp4", panning(2), frames_per_second=25)
    with pytest.raises(
        UnreadableVideoError, match="is no stored flow; write it with videoclf flow"
    ):
        StoredFlow(str(tmp_path / "a.mp4"))
    with pytest.raises(UnreadableVideoError, match="does not exist"):
        StoredFlow(str(tmp_path / "gone.mp4"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no stored flow"),
        ("[]", "is no stored flow"),
        ('{"format": "videoclf flow 9", "decode": ""}', "is of the format 'videoclf flow 9'"),
        ('{"format": "videoclf flow 1", "decode": ""}', "has a header that is damaged"),
    ],
)
def test_headers_that_are_none(text, reason):
    with pytest.raises(ValueError, match=reason):
        FlowHeader.from_text(text)


def test_a_side_that_is_too_short():
    with pytest.raises(ConfigError, match="the short side must be at least 16 pixels, not 8"):
        encoder(short_side=8)
