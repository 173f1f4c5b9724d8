"""The videos that the benchmarks read: H.264 as data sets hold it, with frames known by number.

A textured scene pans behind moving discs, with a little noise: about 1,500 bytes a frame at
340x256, as much as a Kinetics video of that size, and as much work for the decoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

PREPARED = (256, 340)  # height and width in pixels: Kinetics at short side 256
DOWNLOADED = (720, 1280)
FRAMES_PER_SECOND = 30


def encode_scene(
    path: Path, *, num_frames: int, gop: int, size: tuple[int, int] = PREPARED, seed: int = 0
) -> Path:
    """Write an MP4 with a keyframe at least every `gop` frames, as `videoclf prepare` encodes."""
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "23", "g": str(gop), "threads": "1"}
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = size
        for picture in draw_scene(num_frames, size, seed):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def draw_scene(num_frames: int, size: tuple[int, int], seed: int) -> Iterator[np.ndarray]:
    """Draw uint8 (H, W, 3) frames, one by one; the same seed gives the same film."""
    height, width = size
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (48, 64, 3), np.uint8)
    scene = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    colours = generator.integers(40, 216, (6, 3)).tolist()
    phases = generator.uniform(0, 2 * np.pi, (6, 2))
    speeds = generator.uniform(0.01, 0.08, (6, 2))
    for number in range(num_frames):
        left = round(width * (0.5 + 0.4 * np.sin(number / 90)))
        top = round(height * (0.5 + 0.4 * np.cos(number / 70)))
        picture = scene[top : top + height, left : left + width].copy()
        for colour, phase, speed in zip(colours, phases, speeds, strict=True):
            x, y = 0.5 + 0.4 * np.sin(phase + speed * number)
            centre = (round(width * x), round(height * y))
            cv2.circle(picture, centre, height // 9, colour, -1)
        noise = generator.integers(-3, 4, picture.shape, np.int8)
        # Saturating, so that light and dark stay what they are.
        yield cv2.add(picture, noise, dtype=cv2.CV_8U)
