"""Flow for the eye: a video of frames beside their flow in colours, and a filmstrip of both."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, ImageDraw, ImageFont

from videoclf.cache import atomic_write
from videoclf.errors import StorageError, UnreadableVideoError
from videoclf.flow import FlowEstimator
from videoclf.flow.colours import colour_wheel, flow_colours
from videoclf.flow.storing import flow_of
from videoclf.readers.pyav import PyavReader
from videoclf.tools.reencoding import presentation

NUM_COLUMNS = 6
#: Pairs of frames, over the whole video, that tell the colours' scale.
_NUM_SAMPLED = 16
_GAP_PIXELS = 6
_LEGEND_PIXELS = 170
_TEXT_PIXELS = 20
#: Share of the sampled pixels that are slower than the full colour.
_FULL_SHARE = 0.99
_LEAST_FULL_PIXELS = 1.0  # so that noise at rest stays pale


@dataclass(frozen=True)
class Shown:
    """What was written.

    Args:
        video: the MP4.
        filmstrip: the PNG.
        full_pixels: displacement of the full colour, from one frame to the next.
    """

    video: Path
    filmstrip: Path
    full_pixels: float


def show_flow(
    path: Path, folder: Path, estimator: FlowEstimator, *, short_side: int, backward: bool = False
) -> Shown:
    """Write `<name>_flow.mp4` and `<name>_flow.png`.

    The colours' scale is one for the whole video, from pairs of frames spread over it.

    Args:
        path: a video.
        folder: where to.
        estimator: of the flow.
        short_side: pixels at which flow is estimated and shown; a smaller video keeps its size.
        backward: from frame t+1 to frame t.

    Raises:
        StorageError: the folder cannot be written.
        UnreadableVideoError: the video is missing or damaged, or has a single frame.
    """
    with PyavReader(str(path), cache=False) as reader:
        if reader.num_frames < 2:
            raise UnreadableVideoError(str(path), "has one frame; flow needs two")
        side = min(short_side, reader.height, reader.width)
        sampled = _spread(reader.num_frames - 1, _NUM_SAMPLED)
        shown, fields = _pairs(reader, estimator, sampled, side, backward)
        speeds = np.linalg.norm(fields, axis=-1)
        full_pixels = max(_LEAST_FULL_PIXELS, float(np.quantile(speeds, _FULL_SHARE)))
        columns = _spread(len(sampled), NUM_COLUMNS)
        times = reader.times[sampled[columns]]
        strip = draw_filmstrip(shown[columns], fields[columns], times, full_pixels)
        made = Shown(
            folder / f"{path.stem}_flow.mp4", folder / f"{path.stem}_flow.png", full_pixels
        )
        try:
            with atomic_write(made.filmstrip) as temporary:
                strip.save(temporary, "PNG", optimize=True)
            with atomic_write(made.video) as temporary:
                _write_video(temporary, reader, estimator, side, backward, full_pixels)
        except (OSError, FileExistsError) as error:
            raise StorageError(
                f"cannot write to {folder}: {error.strerror}; name another folder"
            ) from error
    return made


def draw_filmstrip(
    frames: np.ndarray, fields: np.ndarray, times: np.ndarray, full_pixels: float
) -> Image.Image:
    """Draw frames above their flow, a column each, with the colour wheel at the right.

    Args:
        frames: uint8 (N, H, W, 3).
        fields: float32 (N, H, W, 2), in pixels.
        times: seconds (N,).
        full_pixels: displacement of the full colour.
    """
    num_columns, height, width = frames.shape[:3]
    colours = flow_colours(fields, full_pixels)  # (N, H, W, 3)
    left = num_columns * (width + _GAP_PIXELS)
    below = _TEXT_PIXELS + 2 * (height + _GAP_PIXELS)
    page = Image.new("RGB", (left + _LEGEND_PIXELS, max(below, _LEGEND_PIXELS)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for column in range(num_columns):
        x = column * (width + _GAP_PIXELS)
        draw.text((x + 2, 2), f"{times[column]:.2f} s", fill="black", font=font)
        for row, picture in enumerate((frames[column], colours[column])):
            y = _TEXT_PIXELS + row * (height + _GAP_PIXELS)
            page.paste(Image.fromarray(picture), (x, y))
    side = _LEGEND_PIXELS - 50
    top = _TEXT_PIXELS
    page.paste(Image.fromarray(colour_wheel(side)), (left + 25, top))
    words = f"{full_pixels:.1f} pixels a frame\nat the rim"
    draw.multiline_text((left + 25, top + side + 6), words, fill="black", font=font)
    return page


def _spread(count: int, wanted: int) -> np.ndarray:
    """Return up to `wanted` of the numbers below `count`, evenly spread, int64."""
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(np.int64))


def _pairs(
    reader: PyavReader,
    estimator: FlowEstimator,
    indices: np.ndarray,
    short_side: int,
    backward: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return some frames, uint8 (N, H, W, 3), and their flow, float32 (N, H, W, 2)."""
    shown, fields = [], []
    for first in indices:
        pair = reader.frames(np.array([first, first + 1]), short_side=short_side)  # (2, H, W, 3)
        shown.append(pair[1 if backward else 0])
        fields.append(estimator.estimate(pair, backward=backward)[0])
    return np.stack(shown), np.stack(fields)


def _write_video(
    path: Path,
    reader: PyavReader,
    estimator: FlowEstimator,
    short_side: int,
    backward: bool,
    full_pixels: float,
) -> None:
    """Write frames beside their flow, at the video's own times."""
    ticks, clock = presentation(reader.index, 0, reader.num_frames - 1)
    flow = flow_of(reader, estimator, short_side, backward=backward)
    pictures = (
        np.concatenate([frame, colour], axis=1)  # (H, 2 W, 3)
        for frames, fields in flow
        for frame, colour in zip(frames, flow_colours(fields, full_pixels), strict=True)
    )
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        rate = Fraction(reader.fps).limit_denominator(100_000)
        stream = container.add_stream("libx264", rate=rate, options={"crf": "18", "bf": "0"})
        assert isinstance(stream, VideoStream)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = clock
        wheel: np.ndarray | None = None
        for tick, picture in zip(ticks, pictures, strict=True):
            height, width = (side // 2 * 2 for side in picture.shape[:2])  # as 4:2:0 needs
            if wheel is None:
                wheel = colour_wheel(max(24, height // 5))
                stream.height, stream.width = height, width
            _put_legend(picture, wheel)
            shown = np.ascontiguousarray(picture[:height, :width])
            frame = VideoFrame.from_ndarray(shown, format="rgb24")
            frame.pts, frame.time_base = tick, clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _put_legend(picture: np.ndarray, wheel: np.ndarray) -> None:
    """Draw the wheel into the lower right corner, in place."""
    side = len(wheel)
    places = np.linspace(-1, 1, side)
    inside = np.hypot(places[:, None], places[None]) <= 1
    corner = picture[-side - 2 : -2, -side - 2 : -2]
    corner[inside] = wheel[inside]
