"""One video to a file that trains fast: small, short GOPs, cheap to decode; what `prepare` does.

The pictures are those that the reader would give at the same short side: rotation applied, same
frames, same times. What was written is read back before it takes its name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from videoclf.cache import atomic_write
from videoclf.errors import ConfigError, StorageError, UnreadableVideoError
from videoclf.readers.content import hash_file
from videoclf.readers.demux import reason_of
from videoclf.readers.geometry import scaled_size
from videoclf.readers.indexed import IndexedReader
from videoclf.readers.packet_index import PacketIndex
from videoclf.readers.pyav import PyavReader
from videoclf.readers.scaling import Scaler
from videoclf.readers.span import frame_span
from videoclf.tools.audio import AudioTrack
from videoclf.tools.decoding import decode_stretch, decode_whole

#: Finer clocks are brought to microseconds: an MP4 file counts a frame's time in 32 bits.
_FINEST_CLOCK = 1_000_000
#: x264's, from fast to small.
PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow"),
)
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True)
class Encoding:
    """How all files are encoded.

    Args:
        short_side: pixels; a video that is smaller keeps its size.
        gop_frames: at most so many frames from one keyframe to the next.
        crf: H.264's constant rate factor, 0 to 51; 18 is hardly told from the source.
        preset: x264's speed, one of `PRESETS`.
        audio: keep the first audio stream, as AAC.

    Raises:
        ConfigError: a value out of range.
    """

    short_side: int = 256
    gop_frames: int = 12
    crf: float = 20.0
    preset: str = "veryfast"
    audio: bool = False

    def __post_init__(self) -> None:
        if self.short_side < 16:
            raise ConfigError(f"the short side must be at least 16 pixels, not {self.short_side}")
        if self.gop_frames < 1:
            raise ConfigError(f"a GOP must be at least 1 frame, not {self.gop_frames}")
        if not 0 <= self.crf <= 51:
            raise ConfigError(f"crf must be from 0 to 51, not {self.crf:g}")
        if self.preset not in PRESETS:
            raise ConfigError(f"the preset {self.preset!r} is none of x264's: {', '.join(PRESETS)}")

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) in pixels; both even, as 4:2:0 video needs."""
        height, width = scaled_size(height, width, min(self.short_side, height, width))
        return max(2, round(height / 2) * 2), max(2, round(width / 2) * 2)

    def options(self) -> dict[str, str]:
        """Return the encoder's options.

        No B-frames: frames then lie in the file in the order of presentation, which every reader
        follows exactly, and the start of the video needs no edit list.
        """
        return {
            "preset": self.preset,
            "tune": "fastdecode",
            "crf": f"{self.crf:g}",
            "g": str(self.gop_frames),
            "bf": "0",
            "x264-params": "threads=1",
        }


@dataclass(frozen=True)
class Job:
    """One file to write.

    Args:
        source: the video.
        target: the file; its folder is made.
        start: seconds from the video's begin; None where the whole file is meant.
        end: seconds, exclusive.
    """

    source: str
    target: str
    start: float | None = None
    end: float | None = None

    @property
    def is_cut(self) -> bool:
        """Whether a stretch of the video is meant."""
        return self.start is not None or self.end is not None


@dataclass(frozen=True)
class Prepared:
    """What became of a job; `problem` is None where the file was written and verified."""

    job: Job
    sha256: str | None = None
    num_frames: int | None = None
    source_bytes: int = 0
    bytes: int = 0
    problem: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Encoder:
    """The work on one job; a value that travels to the processes of a pool."""

    encoding: Encoding

    def __call__(self, job: Job) -> Prepared:
        """Write and verify one file.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        try:
            # the stretches of one film share its index; a file that is read once leaves none
            with PyavReader(job.source, cache=job.is_cut) as reader, _full_disk(job.target):
                return self._write(job, reader)
        except UnreadableVideoError as error:
            problem = "unreadable" if error.path == job.source else "not verified"
            return Prepared(job, problem=problem, detail=error.reason)

    def _write(self, job: Job, reader: IndexedReader) -> Prepared:
        first, last = frame_span(job.source, reader.times, job.start, job.end)
        ticks, clock = presentation(reader.index, first, last)
        with atomic_write(Path(job.target)) as temporary:
            self._encode(job, reader, temporary, first, ticks, clock)
            _verify(temporary, ticks, clock, self.encoding.size(reader.height, reader.width))
            return Prepared(
                job,
                sha256=hash_file(str(temporary)),
                num_frames=len(ticks),
                source_bytes=Path(job.source).stat().st_size,
                bytes=temporary.stat().st_size,
            )

    def _encode(
        self,
        job: Job,
        reader: IndexedReader,
        temporary: Path,
        first: int,
        ticks: list[int],
        clock: Fraction,
    ) -> None:
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        frames = decode_stretch(job.source, reader.index, first, first + len(ticks))
        with (
            closing(frames),
            av.open(str(temporary), "w", format="mp4", options=options) as container,
        ):
            video = self._add_video(container, reader, clock)
            begin = reader.index.timestamps[first] * reader.index.seconds_per_tick
            audio = None
            if self.encoding.audio:
                seconds = float(ticks[-1] * clock) + 1 / reader.fps
                audio = AudioTrack.open(job.source, reader.index.container, begin, seconds)
            with closing(audio) if audio else _nothing():
                if audio:
                    audio.add_to(container)
                pictures = self._pictures(frames, reader)
                for tick, picture in zip(ticks, pictures, strict=True):
                    if audio:
                        audio.write_until(float(tick * clock))
                    picture.pts, picture.time_base = tick, clock
                    container.mux(video.encode(picture))
                container.mux(video.encode(None))
                if audio:
                    audio.write_rest()

    def _add_video(
        self, container: OutputContainer, reader: IndexedReader, clock: Fraction
    ) -> VideoStream:
        rate = Fraction(reader.fps).limit_denominator(100_000)
        video = container.add_stream("libx264", rate=rate, options=self.encoding.options())
        assert isinstance(video, VideoStream)
        video.height, video.width = self.encoding.size(reader.height, reader.width)
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1
        video.codec_context.time_base = clock
        return video

    def _pictures(
        self, frames: Iterator[VideoFrame], reader: IndexedReader
    ) -> Iterator[VideoFrame]:
        """Scale and turn frames, as the reader does."""
        orientation, scaler = reader.index.orientation, Scaler()
        height, width = self.encoding.size(reader.height, reader.width)
        if orientation.transpose:
            height, width = width, height
        for frame in frames:
            shown = orientation.apply(scaler.rgb(frame, height, width))  # (H, W, 3)
            yield VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")


def presentation(index: PacketIndex, first: int, last: int) -> tuple[list[int], Fraction]:
    """Return when frames [first, last) are shown: ticks from the first of them, and the clock."""
    ticks = (index.timestamps[first:last] - index.timestamps[first]).tolist()
    clock = index.seconds_per_tick
    if clock.denominator <= _FINEST_CLOCK:
        return ticks, clock
    return [round(tick * clock * _FINEST_CLOCK) for tick in ticks], Fraction(1, _FINEST_CLOCK)


def _verify(path: Path, ticks: list[int], clock: Fraction, size: tuple[int, int]) -> None:
    """Read back what was written.

    Raises:
        UnreadableVideoError: a frame is missing, damaged, or shown at another time.
    """
    written = str(path)
    with PyavReader(written, cache=False) as reader:
        if (reader.height, reader.width) != size:
            raise UnreadableVideoError(written, f"came out as {reader.width}x{reader.height}")
        if reader.num_frames != len(ticks):
            reason = f"came out with {reader.num_frames} of {len(ticks)} frames"
            raise UnreadableVideoError(written, reason)
        late = np.abs(reader.times - np.array(ticks) * float(clock)).max()
        if late > 1e-4:
            raise UnreadableVideoError(written, f"came out with frames {late:.4f} s off")
        decoded = decode_whole(written, reader.index.container)
    if decoded.error or decoded.num_damaged or decoded.num_frames != len(ticks):
        reason = f"came out with {decoded.num_frames} of {len(ticks)} frames that decode"
        raise UnreadableVideoError(written, reason)


@contextmanager
def _full_disk(target: str) -> Iterator[None]:
    """Tell a disk that cannot take more from a video that cannot be encoded."""
    try:
        yield
    except OSError as error:  # FFmpeg's errors are some of them
        if error.errno in _FULL_DISK:
            reason = os.strerror(error.errno)
            raise StorageError(f"cannot write {target}: {reason}; make room") from error
        if isinstance(error, FFmpegError):
            raise UnreadableVideoError(target, reason_of(error)) from error
        raise


@contextmanager
def _nothing() -> Iterator[None]:
    yield
