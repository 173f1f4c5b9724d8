"""Tiny videos in which every frame shows its own number as a barcode that survives lossy coding."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

# Sixteen blocks in four rows: eight bits of the number, highest first, then the same inverted.
ROWS, COLUMNS = 4, 4
BITS = 8
DARK, LIGHT = 24, 232
UNREADABLE = -1


def draw_barcode(number: int, height: int = 64, width: int = 96) -> np.ndarray:
    """Return a picture of a number from 0 to 255, uint8 (height, width, 3)."""
    if not 0 <= number < 1 << BITS:
        raise ValueError(f"a barcode holds 0 to {(1 << BITS) - 1}, not {number}")
    bits = [number >> place & 1 for place in reversed(range(BITS))]
    blocks = np.array(bits + [1 - bit for bit in bits], np.uint8).reshape(ROWS, COLUMNS)
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    picture = np.where(blocks[rows][:, columns] == 1, LIGHT, DARK).astype(np.uint8)
    return np.repeat(picture[:, :, None], 3, axis=2)


def read_barcode(picture: np.ndarray) -> int:
    """Return the number on a picture, uint8 (H, W, 3) of any size, or UNREADABLE."""
    height, width = picture.shape[:2]
    grey = picture.astype(np.float64).mean(axis=2)
    blocks = np.empty((ROWS, COLUMNS))
    for row in range(ROWS):
        for column in range(COLUMNS):
            # The middle of a block: its borders blur into the next one.
            top, bottom = _middle(row, ROWS, height)
            left, right = _middle(column, COLUMNS, width)
            blocks[row, column] = grey[top:bottom, left:right].mean()
    flat = blocks.reshape(-1)
    bits, inverse = flat[:BITS] > 128, flat[BITS:] > 128
    if np.any(bits == inverse) or np.abs(flat[:BITS] - flat[BITS:]).min() < 80:
        return UNREADABLE
    return int(
        sum(int(bit) << place for bit, place in zip(bits, reversed(range(BITS)), strict=True))
    )


def read_barcodes(clip: np.ndarray) -> list[int]:
    """Return the number on each frame of a clip, uint8 (T, H, W, 3)."""
    return [read_barcode(picture) for picture in clip]


def write_long_video(path: Path) -> Path:
    """Write a video of 1080p that takes seconds to decode and little time to make: a loop."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("the program ffmpeg is not here")
    short = write_barcodes(
        path.parent.parent / "short.mp4",
        range(16),
        height=1080,
        width=1920,
        options={"preset": "ultrafast"},
    )
    command = ["ffmpeg", "-loglevel", "error", "-stream_loop", "99", "-i", str(short)]
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command, "-c", "copy", str(path)], check=True)
    return path


def write_barcodes(
    path: Path,
    numbers: Iterable[int] = range(60),
    *,
    height: int = 64,
    width: int = 96,
    codec: str = "libx264",
    rate: int | Fraction = 25,
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    container_format: str | None = None,
    container_options: Mapping[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    second_numbers: Sequence[int] = (),
    audio_seconds: float = 0.0,
) -> Path:
    """Write a video of barcodes with PyAV and return its path.

    `ticks` are the presentation times of the frames, in milliseconds; a steady rate otherwise.
    `second_numbers` go to a second video stream. `audio_seconds` of silence go to an audio stream.
    """
    with av.open(
        str(path), "w", format=container_format, options=dict(container_options or {})
    ) as container:
        streams = [(list(numbers), ticks)]
        if second_numbers:
            streams.append((list(second_numbers), None))
        opened = []
        for _ in streams:
            stream = container.add_stream(codec, rate=rate, options=dict(options or {}))
            stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
            stream.codec_context.thread_count = 1
            if ticks is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            opened.append(stream)
        audio = container.add_stream("mp2", rate=16000) if audio_seconds else None
        for stream, (shown, times) in zip(opened, streams, strict=True):
            _encode(container, stream, shown, times, Fraction(1) / rate, height, width)
        if audio is not None:
            _encode_silence(container, audio, audio_seconds)
    return path


def _encode(container, stream, numbers, ticks, period, height, width):
    for place, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(draw_barcode(number, height, width), format="rgb24")
        frame = frame.reformat(format=stream.pix_fmt)
        frame.pts = place if ticks is None else ticks[place]
        frame.time_base = period if ticks is None else Fraction(1, 1000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _encode_silence(container, stream, seconds):
    samples = 1152  # of one MP2 frame
    for place in range(int(seconds * 16000) // samples):
        silence = np.zeros((1, samples), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, place * samples
        frame.time_base = Fraction(1, 16000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _middle(place: int, count: int, size: int) -> tuple[int, int]:
    start, end = place * size / count, (place + 1) * size / count
    margin = (end - start) * 0.3
    first = int(start + margin)
    return first, max(int(end - margin), first + 1)
