"""Draw which frames each sampler takes, from the samplers themselves.

python docs/pictures/samplers.py docs/images/samplers.png
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from videoclf.samplers import Sampler
from videoclf.samplers.dense import DenseSampler
from videoclf.samplers.segments import SegmentSampler

NUM_FRAMES = 100
FPS = 25.0
SEED = 0
TRAIN, TEST = "#c2571a", "#1f5fa8"
VIDEO, BORDER, AGAIN = "#e9e9e6", "#b5b5b0", "#f3d9c8"


@dataclass(frozen=True)
class Line:
    """One clip of a video of `length` frames: the frames it takes, int64 (T,), and its colour."""

    taken: np.ndarray
    length: int
    fps: float
    colour: str


Block = tuple[str, list[Line]]


def training_lines(sampler: Sampler, length: int = NUM_FRAMES, fps: float = FPS) -> list[Line]:
    """Return three random clips, as training draws them."""
    generator = np.random.default_rng(SEED)
    return [Line(sampler.train_clip(length, fps, generator), length, fps, TRAIN) for _ in range(3)]


def evaluation_lines(
    sampler: Sampler, num_clips: int, length: int = NUM_FRAMES, fps: float = FPS
) -> list[Line]:
    """Return the fixed clips of a test."""
    clips = sampler.eval_clips(length, fps, num_clips)
    return [Line(clip, length, fps, TEST) for clip in clips]


def protocol(sampler: Sampler) -> list[Block]:
    """Return what training and tests with 1, 3 and 10 clips take of one video."""
    tests = [
        (f"test, {count} clip{'s' * (count > 1)}", evaluation_lines(sampler, count))
        for count in (1, 3, 10)
    ]
    return [("training, 3 draws", training_lines(sampler)), *tests]


def draw_timelines(
    axes: Axes, blocks: Sequence[Block], *, seconds: bool = False, borders: Sequence[float] = ()
) -> None:
    """Draw a thin line a clip, the video as a grey bar, taken frames as ticks on it.

    Args:
        axes: to draw on.
        blocks: a label and its clips.
        seconds: the axis counts seconds; frames otherwise.
        borders: places of upright lines, such as between segments.
    """
    place, ticks, labels, end = 0.0, [], [], 0.0
    for label, lines in blocks:
        first = place
        for line in lines:
            unit = line.fps if seconds else 1.0
            axes.barh(place, line.length / unit, height=0.72, color=VIDEO)
            centres = (line.taken + 0.5) / unit
            axes.vlines(centres, place - 0.36, place + 0.36, color=line.colour, linewidth=1.5)
            end = max(end, line.length / unit)
            place += 1.0
        ticks.append((first + place - 1.0) / 2)
        labels.append(label)
        place += 0.9
    axes.vlines(borders, -0.6, place - 1.3, color=BORDER, linewidth=0.6, linestyle=":")
    axes.set_yticks(ticks, labels)
    axes.set_ylim(place - 1.2, -0.7)
    axes.set_xlim(0, end)
    axes.set_xlabel("seconds" if seconds else "frame of the video", labelpad=1)


def draw_padding(axes: Axes, samplers: Sequence[tuple[str, Sampler]], length: int) -> None:
    """Draw the clip of a video that is too short as a row of cells with the frames' numbers."""
    for place, (_, sampler) in enumerate(samplers):
        taken = sampler.eval_clips(length, FPS, 1)[0]
        span = np.arange(len(taken)) * 2
        for column, frame in enumerate(taken):
            colour = VIDEO if span[column] < length else AGAIN
            axes.add_patch(
                plt.Rectangle((column + 0.04, place - 0.36), 0.92, 0.72, facecolor=colour)
            )
            axes.text(column + 0.5, place, str(frame), ha="center", va="center", fontsize=8.5)
    axes.set_xlim(0, len(taken))
    axes.set_ylim(len(samplers) - 0.4, -0.6)
    axes.set_yticks(range(len(samplers)), [label for label, _ in samplers])
    axes.set_xticks(np.arange(len(taken)) + 0.5, [str(n + 1) for n in range(len(taken))])
    axes.set_xlabel("frame of the clip; in the cell, the frame of the video", labelpad=1)


def dense(**settings: object) -> DenseSampler:
    """Return a dense sampler of 16 frames."""
    values = {"num_frames": 16, "stride": None, "fps": None, "padding": "last", **settings}
    return DenseSampler(**values)


def draw(path: Path) -> None:
    """Write the picture."""
    mpl.use("Agg")
    plt.rcParams.update({"font.size": 9, "axes.titlesize": 9.5, "axes.titlelocation": "left"})
    heights = [19.7, 8.2, 3.0, 19.7]
    figure, all_axes = plt.subplots(
        4, 1, figsize=(7, 9.2), height_ratios=heights, layout="constrained"
    )
    whole, rates, short, parts = all_axes

    draw_timelines(whole, protocol(dense(stride=2.0)))
    whole.set_title("sampler=dense, 16 frames, stride 2: one stretch of a video of 100 frames")

    by_rate = dense(fps=12.5)
    blocks = []
    for fps in (25.0, 60.0):
        length = round(4 * fps)
        blocks.append((f"{fps:g} fps, training", training_lines(by_rate, length, fps)))
        blocks.append((f"{fps:g} fps, test, 1 clip", evaluation_lines(by_rate, 1, length, fps)))
    draw_timelines(rates, blocks, seconds=True)
    rates.set_title("sampler=dense, 16 frames, fps 12.5: the same seconds at any frame rate")

    paddings = [(f"padding={name}", dense(stride=2.0, padding=name)) for name in ("last", "loop")]
    draw_padding(short, paddings, length=20)
    short.set_title("sampler=dense, stride 2, a video of 20 frames: too short for 31")

    segments = SegmentSampler(num_frames=8)
    borders = np.arange(1, 8) * NUM_FRAMES / 8
    draw_timelines(parts, protocol(segments), borders=borders.tolist())
    parts.set_title("sampler=segments, 8 frames: one of each eighth of a video of 100 frames")

    for axes in all_axes:
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
