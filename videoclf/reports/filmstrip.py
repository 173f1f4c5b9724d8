"""A video at a glance: a few frames side by side, as one JPEG."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from videoclf.errors import VideoclfError
from videoclf.readers import reader_class

#: (file, start seconds, end seconds, number of frames, pixels of the short side)
#: -> uint8 (N, H, W, 3), RGB, evenly spaced.
FrameReader = Callable[[Path, "float | None", "float | None", int, int], np.ndarray]

GAP_PIXELS = 3


@dataclass(frozen=True)
class Filmstrip:
    """Pictures of a video as `data:` addresses, or the reason why there are none.

    Two halves, since a phone shows one below the other.
    """

    halves: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    reason: str = ""


def read_evenly(
    path: Path,
    start: float | None,
    end: float | None,
    num_frames: int,
    short_side: int,
    reader: str = "pyav",
) -> np.ndarray:
    """Read frames evenly spaced from the first to the last one inside [start, end) seconds.

    Returns:
        uint8 (num_frames, H, W, 3), RGB.

    Raises:
        UnreadableVideoError: the file cannot be decoded.
        ValueError: the reader is unknown.
    """
    with reader_class(reader)(str(path)) as video:
        first = 0 if start is None else int(np.searchsorted(video.times, start))
        stop = video.num_frames if end is None else int(np.searchsorted(video.times, end))
        last = max(first, min(stop, video.num_frames) - 1)
        first = min(first, video.num_frames - 1)
        indices = np.linspace(first, min(last, video.num_frames - 1), num_frames)
        return video.frames(indices.round().astype(np.int64), short_side=short_side)


def strip_jpeg(frames: np.ndarray, quality: int = 82) -> bytes:
    """Return frames side by side as one JPEG.

    Args:
        frames: uint8 (N, H, W, 3), RGB, N at least 1.
        quality: of the JPEG, 1 to 95.
    """
    num_frames, height, width, channels = frames.shape  # (N, H, W, 3)
    # The gap is mid grey, which is quiet on a light page and on a dark one.
    strip = np.full((height, num_frames, width + GAP_PIXELS, channels), 128, dtype=np.uint8)
    strip[:, :, :width] = frames.transpose(1, 0, 2, 3)  # (H, N, W, 3)
    flat = strip.reshape(height, -1, channels)[:, :-GAP_PIXELS]  # (H, N * (W + gap) - gap, 3)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(flat)).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def filmstrip(
    root: Path | None,
    path: str,
    start: float | None,
    end: float | None,
    *,
    num_frames: int = 8,
    short_side: int = 96,
    read_frames: FrameReader = read_evenly,
) -> Filmstrip:
    """Read a video below `root` as a filmstrip; a video that cannot be read gives the reason."""
    if root is None:
        return Filmstrip(reason="the data root was not given")
    if _leads_out(path):
        return Filmstrip(reason="the path leads out of the data root")
    file = root / path
    if not file.exists():
        return Filmstrip(reason="the file is no longer below the data root")
    try:
        frames = read_frames(file, start, end, num_frames, short_side)
    except VideoclfError as error:
        return Filmstrip(reason=str(getattr(error, "reason", error)))
    except (OSError, ValueError, IndexError) as error:
        return Filmstrip(reason=f"{type(error).__name__}: {error}")
    half = (len(frames) + 1) // 2
    halves = [part for part in (frames[:half], frames[half:]) if len(part)]
    _, height, width, _ = frames.shape
    return Filmstrip(
        halves=tuple(data_address(strip_jpeg(part), "image/jpeg") for part in halves),
        width=half * (width + GAP_PIXELS) - GAP_PIXELS,
        height=height,
    )


def data_address(content: bytes, media_type: str) -> str:
    """Return bytes as a `data:` address, so that a page needs no other file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _leads_out(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/") or "\0" in path or "://" in path
