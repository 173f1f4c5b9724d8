"""The videos that every reader is tried on: how each is made, and the numbers on its frames."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from tests.barcode import write_barcodes

NUM_FRAMES = 60


@dataclass(frozen=True)
class Case:
    """One kind of file: how it is made, and the number that each of its frames must show."""

    name: str
    suffix: str
    make: Callable[[Path], object]
    numbers: Sequence[int] = range(NUM_FRAMES)
    encoder: str = "libx264"
    times: tuple[float, ...] = ()


def case(name, suffix, *, numbers=range(NUM_FRAMES), shown=None, make=None, after=None, **settings):
    """Describe a file of barcodes `numbers`, of which `shown` are to be seen (all by default)."""
    encoder = settings.get("codec", "libx264")
    ticks = settings.get("ticks", ())
    times = tuple((tick - ticks[0]) / 1000 for tick in ticks)

    def write(path: Path) -> None:
        write_barcodes(path, numbers, **settings)
        if after is not None:
            after(path)

    return Case(name, suffix, make or write, shown or numbers, encoder, times)


def x264(**options) -> dict[str, str]:
    """Encoder options; `params` holds x264's own, such as open_gop."""
    return {"preset": "veryfast", "crf": "23", **{k: str(v) for k, v in options.items()}}


B_FRAMES = x264(bf=3, g=12, **{"x264-params": "b-adapt=0:scenecut=0"})
OPEN_GOP = x264(bf=3, g=12, **{"x264-params": "open-gop=1:b-adapt=0:scenecut=0"})
X265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=12:bframes=3:open-gop=0"}
X265_OPEN = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=12:bframes=3:open-gop=1"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "20"}
VP8_HIDDEN = {
    "deadline": "good",
    "cpu-used": "5",
    "auto-alt-ref": "1",
    "lag-in-frames": "16",
    "g": "30",
    "b": "200000",
}
IRREGULAR = [40 * place + (17 * place * place) % 23 for place in range(NUM_FRAMES)]
LATE = [5000 + 40 * place for place in range(NUM_FRAMES)]


def turn(matrix: Sequence[int]) -> Callable[[Path], None]:
    """Write a display matrix (a, b, c, d) into the track header of an MP4 file."""

    def write(path: Path) -> None:
        data = bytearray(path.read_bytes())
        a, b, c, d = (value * 65536 for value in matrix)
        place = data.index(b"tkhd") + 4 + 40
        struct.pack_into(">9i", data, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)

    return write


def edit(start: int, count: int) -> Callable[[Path], None]:
    """Make an MP4 file's edit list show `count` frames from frame `start`, at 25 frames/s."""

    def write(path: Path) -> None:
        data = bytearray(path.read_bytes())
        media_scale = struct.unpack_from(">I", data, data.index(b"mdhd") + 4 + 12)[0]
        movie_scale = struct.unpack_from(">I", data, data.index(b"mvhd") + 4 + 12)[0]
        place = data.index(b"elst") + 12
        first_tick = struct.unpack_from(">i", data, place + 4)[0]
        span, begin = count * movie_scale // 25, first_tick + start * media_scale // 25
        struct.pack_into(">Ii", data, place, span, begin)
        path.write_bytes(data)

    return write


def write_with_cover(path: Path) -> None:
    """Write an MP4 file that holds a cover picture beside its film."""
    film = write_barcodes(path.with_suffix(".film.mkv"), range(NUM_FRAMES), options=B_FRAMES)
    cover = write_barcodes(
        path.with_suffix(".cover.mov"), [200], codec="mjpeg", pixel_format="yuvj420p"
    )
    with av.open(str(film)) as a, av.open(str(cover)) as b, av.open(str(path), "w") as out:
        picture = out.add_stream_from_template(b.streams.video[0])
        picture.disposition = av.stream.Disposition.attached_pic.value
        video = out.add_stream_from_template(a.streams.video[0])
        for source, target in ((b, picture), (a, video)):
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = target
                    out.mux(packet)


CASES = [
    case("h264_gop12", ".mp4", options=x264(g=12, bf=0)),
    case("h264_gop250", ".mp4", options=x264(g=250)),
    case("h264_b_frames", ".mp4", options=B_FRAMES),
    case("h264_b_frames_mkv", ".mkv", options=B_FRAMES),
    case("h264_b_frames_mov", ".mov", options=B_FRAMES),
    case("h264_flv", ".flv", options=B_FRAMES),
    case("h264_open_gop", ".mp4", options=OPEN_GOP),
    case("h264_open_gop_mkv", ".mkv", options=OPEN_GOP),
    case("h264_intra_refresh", ".mp4", options=x264(g=12, **{"x264-params": "intra-refresh=1"})),
    case("h264_interlaced", ".mp4", options=x264(g=12, **{"x264-params": "interlaced=1"})),
    case("h264_10bit", ".mp4", options=x264(g=12), pixel_format="yuv420p10le"),
    case("h265", ".mp4", options=X265, codec="libx265"),
    case("h265_open_gop", ".mp4", options=X265_OPEN, codec="libx265"),
    case("h265_open_gop_mkv", ".mkv", options=X265_OPEN, codec="libx265"),
    case("vp9", ".webm", options=VP9, codec="libvpx-vp9"),
    case("vp8_hidden_frames", ".webm", options=VP8_HIDDEN, codec="libvpx"),
    case("av1", ".mkv", options={"preset": "8", "crf": "10", "g": "20"}, codec="libsvtav1"),
    case("mjpeg", ".mov", codec="mjpeg", pixel_format="yuvj420p"),
    case("mpeg4_avi", ".avi", codec="mpeg4", options={"bf": "2", "g": "12", "qscale": "3"}),
    case("mpeg4_mp4", ".mp4", codec="mpeg4", options={"bf": "2", "g": "12", "qscale": "3"}),
    case("wmv", ".wmv", codec="wmv2", options={"g": "12", "b": "800000"}),
    case("h264_ts", ".ts", options=B_FRAMES),
    case("mpeg2_ts", ".ts", codec="mpeg2video", options={"bf": "2", "b": "2000000"}),
    case("mpeg2_ps", ".mpg", codec="mpeg2video", options={"bf": "2", "b": "2000000"}),
    case("gif", ".gif", codec="gif", pixel_format="rgb8"),
    case("vfr", ".mp4", options=B_FRAMES, ticks=IRREGULAR),
    case("vfr_mkv", ".mkv", options=B_FRAMES, ticks=IRREGULAR),
    case("starts_at_5s", ".mp4", options=B_FRAMES, ticks=LATE),
    case("starts_at_5s_mkv", ".mkv", options=B_FRAMES, ticks=LATE),
    case("starts_at_5s_ts", ".ts", options=B_FRAMES, ticks=LATE),
    case(
        "fragmented",
        ".mp4",
        options=B_FRAMES,
        container_options={"movflags": "frag_keyframe+empty_moov"},
    ),
    case("odd_size", ".mp4", options=B_FRAMES, height=65, width=97, pixel_format="yuv444p"),
    case("odd_size_vp9", ".webm", options=VP9, codec="libvpx-vp9", height=63, width=95),
    case("one_frame", ".mp4", numbers=range(7, 8)),
    case("two_streams", ".mp4", options=B_FRAMES, second_numbers=range(100, 130)),
    case("audio_longer", ".mkv", options=B_FRAMES, audio_seconds=5.0),
    case("cover_picture", ".mp4", make=write_with_cover),
    case("edit_list_keyframe", ".mp4", options=B_FRAMES, shown=range(24, 50), after=edit(24, 26)),
    case("edit_list", ".mp4", options=B_FRAMES, shown=range(17, 44), after=edit(17, 27)),
    case("edit_list_open_gop", ".mp4", options=OPEN_GOP, shown=range(17, 44), after=edit(17, 27)),
]
