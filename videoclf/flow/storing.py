"""One video to one file of stored flow: what each process of `videoclf flow` does.

The frames pass once, a few at a time, so that memory does not grow with the video. What was
written is read back, and must give the very same codes, before the file takes its name.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError

from videoclf.cache import atomic_write
from videoclf.errors import ConfigError, StorageError, UnreadableVideoError
from videoclf.flow import FlowEstimator
from videoclf.flow.header import FlowHeader
from videoclf.flow.quantisation import Quantisation
from videoclf.flow.stored import StoredFlow, write_codes
from videoclf.readers.content import hash_file
from videoclf.readers.demux import reason_of
from videoclf.readers.frames import FramesReader
from videoclf.readers.geometry import scaled_size
from videoclf.readers.pyav import PyavReader
from videoclf.tools.journal import Journal
from videoclf.tools.preparing import SCHEMA as FILES
from videoclf.tools.reencoding import Job, Prepared, presentation

#: Pairs of frames that are in memory at once.
PAIRS_AT_ONCE = 16
_SMALLEST_PIXELS = 16
_NOT_WRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class WrittenFlow(Prepared):
    """What became of a job, with the loss of the codes.

    Args:
        num_values: components of displacements, two a pixel.
        num_clipped: those beyond the bound.
        rounding_sum: of the others, how far their codes are off, pixels, summed.
        rounding_largest: the largest of it.
        largest_pixels: the largest component, before it was clipped.
    """

    num_values: int = 0
    num_clipped: int = 0
    rounding_sum: float = 0.0
    rounding_largest: float = 0.0
    largest_pixels: float = 0.0


_FACTS = ("num_values", "num_clipped", "rounding_sum", "rounding_largest", "largest_pixels")
SCHEMA = ";".join([FILES, *(f"ALTER TABLE files ADD COLUMN {name} REAL" for name in _FACTS)])


@dataclass
class _Loss:
    """Sums up what the codes lose, and hashes them."""

    quantisation: Quantisation
    num_values: int = 0
    num_clipped: int = 0
    rounding_sum: float = 0.0
    rounding_largest: float = 0.0
    largest_pixels: float = 0.0
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, fields: np.ndarray, codes: np.ndarray) -> None:
        """Take in fields, float32 (N, H, W, 2), and their codes."""
        sizes = np.abs(fields)
        within = sizes <= self.quantisation.bound_pixels
        off = np.abs(self.quantisation.fields(codes) - fields)[within]
        self.num_values += sizes.size
        self.num_clipped += sizes.size - off.size
        self.rounding_sum += float(off.sum(dtype=np.float64))
        self.rounding_largest = max(self.rounding_largest, float(off.max(initial=0.0)))
        self.largest_pixels = max(self.largest_pixels, float(sizes.max()))
        self.digest.update(np.ascontiguousarray(codes))

    def facts(self) -> dict[str, Any]:
        """Return the columns of `WrittenFlow`."""
        return {name: getattr(self, name) for name in _FACTS}


@dataclass(frozen=True)
class FlowEncoder:
    """The work on one video; a value that travels to the processes of a pool.

    Args:
        method: the estimator's name.
        estimator: of that method.
        quantisation: of the stored codes.
        short_side: pixels at which flow is estimated and stored; a smaller video keeps its size.
        backward: from frame t+1 to frame t.
        folders: videos are folders of pictures.

    Raises:
        ConfigError: a short side below 16 pixels.
    """

    method: str
    estimator: FlowEstimator
    quantisation: Quantisation
    short_side: int = 256
    backward: bool = False
    folders: bool = False

    def __post_init__(self) -> None:
        if self.short_side < _SMALLEST_PIXELS:
            raise ConfigError(
                f"the short side must be at least {_SMALLEST_PIXELS} pixels, not {self.short_side}"
            )

    def __call__(self, job: Job) -> WrittenFlow:
        """Write and verify one file.

        Raises:
            StorageError: the disk is full or cannot be written.
        """
        try:
            with self._open(job.source) as reader, _storage_errors(job.target):
                if reader.num_frames < 2:
                    raise UnreadableVideoError(job.source, "has one frame; flow needs two")
                return self._write(job, reader)
        except UnreadableVideoError as error:
            problem = "unreadable" if error.path == job.source else "not verified"
            return WrittenFlow(job, problem=problem, detail=error.reason)

    def _open(self, path: str) -> PyavReader | FramesReader:
        return FramesReader(path) if self.folders else PyavReader(path, cache=False)

    def _write(self, job: Job, reader: PyavReader | FramesReader) -> WrittenFlow:
        ticks, clock = _times(reader)
        size = _size(reader, self.short_side)
        loss = _Loss(self.quantisation)
        with atomic_write(Path(job.target)) as temporary:
            write_codes(
                temporary,
                self._codes(reader, loss),
                self._header(reader),
                size=size,
                ticks=ticks,
                clock=clock,
                rate=Fraction(reader.fps).limit_denominator(100_000),
            )
            _verify(str(temporary), loss.digest.digest(), ticks, clock, size)
            return WrittenFlow(
                job,
                sha256=hash_file(str(temporary)),
                num_frames=len(ticks),
                source_bytes=_bytes(Path(job.source)),
                bytes=temporary.stat().st_size,
                **loss.facts(),
            )

    def _codes(self, reader: PyavReader | FramesReader, loss: _Loss) -> Iterator[np.ndarray]:
        """Estimate the whole video, and yield a field's codes at a time, uint8 (H, W, 2)."""
        for _, fields in flow_of(reader, self.estimator, self.short_side, backward=self.backward):
            if not np.isfinite(fields).all():
                raise UnreadableVideoError(reader.path, f"{self.method} gave no finite flow")
            codes = self.quantisation.codes(fields)  # (N, H, W, 2)
            loss.add(fields, codes)
            yield from codes

    def _header(self, reader: PyavReader | FramesReader) -> FlowHeader:
        return FlowHeader(
            method=self.method,
            settings=asdict(self.estimator),  # type: ignore[call-overload]
            backward=self.backward,
            bound_pixels=self.quantisation.bound_pixels,
            source_frames=reader.num_frames,
            source_height=reader.height,
            source_width=reader.width,
        )


def flow_of(
    reader: PyavReader | FramesReader,
    estimator: FlowEstimator,
    short_side: int,
    *,
    backward: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a whole video and its flow in order, a few frames at a time.

    Args:
        reader: of the video.
        estimator: of the flow.
        short_side: pixels; a smaller video keeps its size.
        backward: from frame t+1 to frame t.

    Yields:
        The frames on whose pixels the flow lies, uint8 (N, H, W, 3), and their flow, float32
        (N, H, W, 2).

    Raises:
        UnreadableVideoError: the video is damaged.
    """
    wanted = min(short_side, reader.height, reader.width)
    kept: np.ndarray | None = None  # the last frame, which begins the next pair
    for start in range(0, reader.num_frames, PAIRS_AT_ONCE):
        indices = np.arange(start, min(start + PAIRS_AT_ONCE, reader.num_frames))
        frames = reader.frames(indices, short_side=wanted)  # (N, H, W, 3)
        if kept is not None:
            frames = np.concatenate([kept, frames])
        kept = frames[-1:]
        if len(frames) > 1:
            fields = estimator.estimate(frames, backward=backward)
            yield frames[1:] if backward else frames[:-1], fields


def _size(reader: PyavReader | FramesReader, short_side: int) -> tuple[int, int]:
    return scaled_size(reader.height, reader.width, min(short_side, reader.height, reader.width))


def _times(reader: PyavReader | FramesReader) -> tuple[list[int], Fraction]:
    """Return when the fields are shown, which is when the video's frames are: ticks, and clock."""
    num_fields = reader.num_frames - 1
    if isinstance(reader, PyavReader):
        return presentation(reader.index, 0, num_fields)
    return list(range(num_fields)), 1 / Fraction(reader.fps).limit_denominator(100_000)


def _verify(
    path: str, digest: bytes, ticks: list[int], clock: Fraction, size: tuple[int, int]
) -> None:
    """Read back what was written.

    Raises:
        UnreadableVideoError: a field is missing, has another code anywhere, or another time.
    """
    with StoredFlow(path, cache=False) as stored:
        if (stored.height, stored.width) != size or stored.num_frames != len(ticks):
            came = f"{stored.num_frames} fields of {stored.width}x{stored.height}"
            raise UnreadableVideoError(path, f"came out as {came}")
        late = np.abs(stored.times - np.array(ticks) * float(clock)).max()
        if late > 1e-4:
            raise UnreadableVideoError(path, f"came out with fields {late:.4f} s off")
        found: Any = hashlib.sha256()
        for start in range(0, stored.num_frames, PAIRS_AT_ONCE):
            indices = np.arange(start, min(start + PAIRS_AT_ONCE, stored.num_frames))
            found.update(np.ascontiguousarray(stored.codes(indices)))
    if found.digest() != digest:
        raise UnreadableVideoError(path, "came out with other codes than were written")


def _bytes(source: Path) -> int:
    """Return the size of a video, or of the pictures in its folder."""
    files = source.iterdir() if source.is_dir() else [source]
    return sum(file.stat().st_size for file in files)


@dataclass(frozen=True)
class StorageTotals:
    """What all files of a journal are together; bytes of files, displacements in pixels."""

    num_fields: int
    num_bytes: int
    clipped_share: float
    rounding_mean: float
    rounding_largest: float
    largest_pixels: float


def storage_totals(journal: Journal) -> StorageTotals:
    """Sum up the files that are written and listed."""
    row = journal.execute(
        "SELECT sum(num_frames), sum(bytes), sum(num_values), sum(num_clipped), "
        "sum(rounding_sum), max(rounding_largest), max(largest_pixels) "
        "FROM files WHERE listed AND done"
    ).fetchone()
    fields, size, values, clipped, rounding, rounding_largest, largest = (v or 0 for v in row)
    return StorageTotals(
        num_fields=fields,
        num_bytes=size,
        clipped_share=clipped / max(1, values),
        rounding_mean=rounding / max(1, values - clipped),
        rounding_largest=rounding_largest,
        largest_pixels=largest,
    )


@contextmanager
def _storage_errors(target: str) -> Iterator[None]:
    """Tell a disk that takes no more, or a folder that takes nothing, from a broken video."""
    try:
        yield
    except OSError as error:  # FFmpeg's errors are some of them
        if error.errno in _NOT_WRITABLE:
            reason = os.strerror(error.errno)
            raise StorageError(f"cannot write {target}: {reason}; make room") from error
        if isinstance(error, FFmpegError):
            raise UnreadableVideoError(target, reason_of(error)) from error
        raise
