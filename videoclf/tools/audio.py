"""The sound of a video, re-encoded beside its pictures and kept in time with them."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from fractions import Fraction
from typing import TYPE_CHECKING

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError

from videoclf.errors import UnreadableVideoError
from videoclf.readers.demux import OpenedVideo, open_video, reason_of
from videoclf.readers.safety import Limits

if TYPE_CHECKING:
    from typing_extensions import Self

_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


class AudioTrack:
    """The first audio stream of a video, from one time to another.

    Whole blocks of samples are taken (some 20 ms): those that begin within the stretch.

    Args:
        opened: the video, freshly opened; closed with this.
        begin: time of the first picture, in seconds of the file's own clock.
        seconds: length of the stretch.
    """

    def __init__(self, opened: OpenedVideo, begin: Fraction, seconds: float) -> None:
        self._opened = opened
        self._begin = begin
        self._seconds = seconds
        self._frames = self._decode()
        self._next = next(self._frames, None)
        self._container: OutputContainer | None = None
        self._stream: AudioStream | None = None

    @classmethod
    def open(cls, path: str, kind: str, begin: Fraction, seconds: float) -> Self | None:
        """Open the sound of a file; None where it has none.

        Raises:
            UnreadableVideoError: its first samples are damaged.
        """
        opened = open_video(path, kind, Limits())
        if not opened.container.streams.audio:
            opened.container.close()
            return None
        return cls(opened, begin, seconds)

    def add_to(self, container: OutputContainer) -> None:
        """Make a stream for the sound in the file that is written."""
        if self._next is None:
            return
        self._container = container
        stream = container.add_stream("aac", rate=self._next.sample_rate)
        assert isinstance(stream, AudioStream)
        stream.layout = self._next.layout.name
        self._stream = stream

    def write_until(self, seconds: float) -> None:
        """Write the sound that begins before a time; sound and pictures take turns in the file."""
        if self._stream is None or self._container is None:
            return
        while self._next is not None and _time(self._next) < seconds:
            self._container.mux(self._stream.encode(self._next))
            self._next = next(self._frames, None)

    def write_rest(self) -> None:
        """Write what is left of the stretch."""
        self.write_until(float("inf"))
        if self._stream is not None and self._container is not None:
            self._container.mux(self._stream.encode(None))

    def close(self) -> None:
        """Release the file."""
        self._frames.close()
        self._opened.container.close()

    def _decode(self) -> Generator[AudioFrame, None, None]:
        """Yield frames that AAC takes, timed from the first picture."""
        container = self._opened.container
        stream = container.streams.audio[0]
        stream.codec_context.thread_count = 1
        try:
            if self._begin > 10:  # a seek is rough: what precedes the stretch is dropped below
                container.seek(int((self._begin - 5) * 1_000_000))
            rate = min(_RATES, key=lambda rate: abs(rate - stream.rate))
            layout = "mono" if stream.channels == 1 else "stereo"
            resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
            decoded = itertools.chain(container.decode(stream), [None])
            for frame in itertools.chain.from_iterable(map(resampler.resample, decoded)):
                if frame.pts is None or frame.time_base is None:
                    continue
                start = frame.pts * frame.time_base - self._begin
                if start >= self._seconds:
                    return
                if start >= 0:
                    frame.pts = round(start * rate)
                    frame.time_base = Fraction(1, rate)
                    yield frame
        except FFmpegError as error:
            reason = f"its sound is damaged ({reason_of(error)})"
            raise UnreadableVideoError(self._opened.path, reason) from error


def _time(frame: AudioFrame) -> float:
    assert frame.pts is not None
    assert frame.time_base is not None
    return float(frame.pts * frame.time_base)
