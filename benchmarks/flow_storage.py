"""Stored flow: bytes a field, and CPU time to write and to read, for several ways to code it.

`python benchmarks/flow_storage.py VIDEO...` estimates DIS flow of the first 60 pairs of frames, at
240 pixels of the short side, bounded to 20 pixels. What is read back is held against what was
written; the videos are read by the project's reader.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from videoclf.flow.dis import Dis
from videoclf.flow.quantisation import Quantisation
from videoclf.readers.pyav import PyavReader

NUM_FRAMES, SHORT_SIDE = 61, 240
LOSSLESS = {"preset": "veryfast", "qp": "0"}
FFV1 = {"g": "1", "level": "3", "slices": "4"}
X264 = "scenecut=0:bframes=0:threads=1:keyint="


class Video(NamedTuple):
    """A codec with its settings; pictures are RGB, or grey with x and y side by side."""

    codec: str
    pixels: str
    options: dict[str, str]

    @property
    def colour(self) -> bool:
        """Whether pictures are RGB."""
        return self.pixels != "gray"


VIDEOS = {
    "H.264 RGB, keyframes only, fastdecode (chosen)": Video(
        "libx264rgb", "rgb24", {**LOSSLESS, "tune": "fastdecode", "x264-params": f"{X264}1"}
    ),
    "H.264 RGB, keyframes only": Video(
        "libx264rgb", "rgb24", {**LOSSLESS, "x264-params": f"{X264}1"}
    ),
    "H.264 RGB, GOP 12": Video("libx264rgb", "rgb24", {**LOSSLESS, "x264-params": f"{X264}12"}),
    "FFV1 grey, Golomb-Rice": Video("ffv1", "gray", {**FFV1, "coder": "0"}),
    "FFV1 grey, range coder": Video("ffv1", "gray", {**FFV1, "coder": "1"}),
}
PICTURES = {"PNG, grey": (".png", []), "JPEG 95, grey": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95])}


def write_video(file: Path, pictures: Sequence[np.ndarray], how: Video) -> None:
    """Encode pictures in one thread."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream(how.codec, rate=25, options=how.options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.thread_count = how.pixels, 1
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24" if how.colour else "gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_video(file: Path, how: Video) -> list[np.ndarray]:
    """Read all pictures as a training does."""
    with PyavReader(str(file)) as reader:
        pictures = reader.frames(np.arange(reader.num_frames))  # (N, H, W, 3)
    return list(pictures if how.colour else pictures[..., 0])


def compare(path: Path) -> None:
    """Print a line for each way."""
    with PyavReader(str(path), cache=False) as reader:
        indices = np.arange(min(NUM_FRAMES, reader.num_frames))
        frames = reader.frames(indices, short_side=min(SHORT_SIDE, reader.height, reader.width))
    quantisation = Quantisation(20.0)
    codes = quantisation.codes(Dis().estimate(frames))  # (N, H, W, 2)
    colour = [np.dstack([c, np.full(c.shape[:2], 128, np.uint8)]) for c in codes]
    grey = [np.concatenate([c[..., 0], c[..., 1]], axis=1) for c in codes]
    print(f"{path.name}: {len(codes)} fields of {codes.shape[2]}x{codes.shape[1]}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "flow.mkv")
        for name, how in VIDEOS.items():
            pictures = colour if how.colour else grey
            began = time.process_time()
            write_video(file, pictures, how)
            written = time.process_time()
            PyavReader(str(file)).close()  # the index is cached
            begin_reading = time.process_time()
            back = read_video(file, how)
            seconds = time.process_time() - begin_reading
            _print(name, pictures, back, file.stat().st_size, written - began, seconds)
    for name, (suffix, options) in PICTURES.items():
        began = time.process_time()
        files = [cv2.imencode(suffix, picture, options)[1] for picture in grey]
        written = time.process_time()
        back = [cv2.imdecode(file, cv2.IMREAD_GRAYSCALE) for file in files]
        seconds = time.process_time() - written
        _print(name, grey, back, sum(map(len, files)), written - began, seconds)


def _print(
    name: str,
    pictures: Sequence[np.ndarray],
    back: Sequence[np.ndarray],
    num_bytes: int,
    write_seconds: float,
    read_seconds: float,
) -> None:
    levels = np.abs(np.stack(back).astype(int) - np.stack(pictures))
    step, count = Quantisation(20.0).step_pixels, len(pictures)
    error = "exact" if not levels.any() else f"off by up to {levels.max() * step:.2f} px"
    print(
        f"  {name} | {num_bytes / count / 1e3:.1f} kB a field | "
        f"writes {count / write_seconds:.0f}/s, reads {count / read_seconds:.0f}/s | {error}"
    )


if __name__ == "__main__":
    for word in sys.argv[1:]:
        compare(Path(word))
