"""Frames to a video file whose every frame stands alone: intra-only H.264, constant quantiser.

Where a codec predicts frames from one another, its residue tells of motion within a single
frame, and a data set whose single frames should say nothing leaks: at H.264's defaults a
single-frame network read the axis of motion nearly without error. Here all frames are IDR
frames, the quantiser is one number and nothing that looks across frames (rate control, adaptive
quantisation, macroblock trees, look-ahead) is on: a decoded frame depends on its source alone.
"""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from videoclf.cache import atomic_write

#: H.264's constant quantiser: 0 is lossless, 18 hardly visible, 51 the coarsest.
QUANTISER = 18

_X264 = "keyint=1:scenecut=0:bframes=0:rc-lookahead=0:sync-lookahead=0:aq-mode=0:mbtree=0:threads=1"


def encode_frames(
    frames: NDArray[np.uint8], *, frames_per_second: int, lossless: bool = False
) -> bytes:
    """Encode frames as an MP4; the same frames give the same bytes on the same library versions.

    Args:
        frames: uint8 (T, H, W, 3), RGB; H and W even.
        frames_per_second: frame rate, constant.
        lossless: keep each RGB value exactly: YUV 4:2:0 where all frames come back from it as they
            were, as some greys do, else H.264 High 4:4:4 Predictive in RGB, about five times the
            size; otherwise YUV 4:2:0 at `QUANTISER`, which every player shows.

    Returns:
        The whole file.

    Raises:
        ValueError: the frames have another shape or type, or an odd side.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not len(frames):
        raise ValueError(
            f"frames are {frames.dtype} {frames.shape}; give uint8 (T, H, W, 3) with T at least 1"
        )
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"frames are {width}x{height}; 4:2:0 video needs even sides")
    quantiser = 0 if lossless else QUANTISER
    pictures = [
        av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24") for frame in frames
    ]
    in_rgb = lossless and not all(map(_comes_back, pictures))
    file = io.BytesIO()
    # +bitexact leaves out the library's version and the time of writing
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libx264rgb" if in_rgb else "libx264",
            rate=frames_per_second,
            options={
                "preset": "veryfast",
                "tune": "fastdecode",
                "qp": str(quantiser),
                "x264-params": _X264,
            },
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "rgb24" if in_rgb else "yuv420p"
        stream.thread_count = 1
        for picture in pictures:
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file.getvalue()


def _comes_back(picture: av.VideoFrame) -> bool:
    """Return whether a picture survives the way to YUV 4:2:0 and back, bit by bit."""
    back = picture.reformat(format="yuv420p").reformat(format="rgb24")
    return np.array_equal(back.to_ndarray(), picture.to_ndarray())


def write_video(
    path: Path, frames: NDArray[np.uint8], *, frames_per_second: int, lossless: bool = False
) -> None:
    """Encode frames and write the file, whole or not at all.

    Args:
        path: the file; its folder is made where it is missing.
        frames: uint8 (T, H, W, 3), RGB; H and W even.
        frames_per_second: frame rate, constant.
        lossless: as in `encode_frames`.

    Raises:
        ValueError: the frames have another shape or type, or an odd side.
        OSError: the disk is full or the folder cannot be written.
    """
    encoded = encode_frames(frames, frames_per_second=frames_per_second, lossless=lossless)
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded)
