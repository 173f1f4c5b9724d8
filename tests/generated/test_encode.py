import io

import av
import numpy as np
import pytest

from videoclf.generated.encode import encode_frames, write_video


def noise(seed, shape=(6, 32, 48, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_all_packets_are_keyframes_at_the_rate_asked_for():
    file = encode_frames(noise(0), frames_per_second=25)
    with av.open(io.BytesIO(file)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.frames) == (48, 32, 6)
        assert stream.average_rate == 25
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert [packet.is_keyframe for packet in packets] == [True] * 6


@pytest.mark.parametrize("lossless", [False, True])
def test_a_decoded_frame_depends_on_its_source_alone(decode, lossless):
    first, second = noise(0), noise(1)
    second[3] = first[3]
    decoded = [
        decode(encode_frames(frames, frames_per_second=25, lossless=lossless))
        for frames in (first, second, first[::-1])
    ]
    np.testing.assert_array_equal(decoded[0][3], decoded[1][3])
    np.testing.assert_array_equal(decoded[0], decoded[2][::-1])
    assert (decoded[0][2] != decoded[1][2]).any()


def test_constant_quantiser_keeps_what_is_seen(decode):
    row = np.linspace(20, 230, 48).astype(np.uint8)
    frames = np.broadcast_to(row[None, None, :, None], (4, 32, 48, 3))
    error = decode(encode_frames(frames, frames_per_second=25)).astype(int) - frames
    assert abs(error).mean() < 2


def test_lossless_is_exact(decode):
    frames = noise(0)
    decoded = decode(encode_frames(frames, frames_per_second=25, lossless=True))
    np.testing.assert_array_equal(decoded, frames)


def test_same_frames_same_bytes():
    assert encode_frames(noise(0), frames_per_second=25) == encode_frames(
        noise(0), frames_per_second=25
    )


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (noise(0).astype(float), r"frames are float64 \(6, 32, 48, 3\); give uint8 \(T, H, W, 3\)"),
        (noise(0)[0], r"frames are uint8 \(32, 48, 3\)"),
        (noise(0)[:0], "T at least 1"),
        (noise(0)[:, :31], "frames are 48x31; 4:2:0 video needs even sides"),
    ],
)
def test_wrong_frames_are_refused(frames, message):
    with pytest.raises(ValueError, match=message):
        encode_frames(frames, frames_per_second=25)


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="even sides"):
        write_video(tmp_path / "a" / "b.mp4", noise(0)[:, :31], frames_per_second=25)
    write_video(tmp_path / "a" / "c.mp4", noise(0), frames_per_second=25)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["c.mp4"]


def test_lossless_greys_that_video_holds_take_the_small_way(decode):
    greys = np.array([8, 24, 44, 64, 79, 128, 180, 192, 208, 228, 248], np.uint8)
    frames = np.random.default_rng(0).choice(greys, (4, 32, 48))[..., None].repeat(3, axis=3)
    file = encode_frames(frames, frames_per_second=25, lossless=True)
    with av.open(io.BytesIO(file)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    np.testing.assert_array_equal(decode(file), frames)
