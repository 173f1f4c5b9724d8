"""Dense sampling: T frames at a fixed stride or frame rate, from one place of the video.

A clip of T frames with a step of s source frames spans (T - 1) * s + 1 frames. A 30 fps video
sampled at 15 fps has s = 2.0; at 25 fps, s = 1.2: starts and steps are real numbers, and each
frame index is the floor of its real position.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from videoclf.samplers.padding import pad_indices
from videoclf.samplers.positions import Positions, clip_fractions

Padding = Literal["last", "loop"]


class DenseSampler:
    """Consecutive frames at one rate; a random start in training, spread starts in evaluation.

    Args:
        num_frames: T, frames a clip.
        stride: source frames from one frame of the clip to the next; or give `fps`.
        fps: frames a second of the clip, whatever the video's own rate; or give `stride`.
        padding: where a video is shorter than the clip's span: repeat its `last` frame, or
            `loop` it.

    Raises:
        ValueError: a value out of range, or not exactly one of stride and fps.
    """

    def __init__(
        self,
        *,
        num_frames: int,
        stride: float | None,
        fps: float | None,
        padding: Padding,
    ) -> None:
        if num_frames < 1:
            raise ValueError(f"sampler.num_frames={num_frames} must be at least 1")
        if (stride is None) == (fps is None):
            raise ValueError(
                f"sampler.stride={stride} and sampler.fps={fps}: set exactly one of them, "
                "the other to null"
            )
        if stride is not None and stride <= 0:
            raise ValueError(f"sampler.stride={stride} must be above 0")
        if fps is not None and fps <= 0:
            raise ValueError(f"sampler.fps={fps} must be above 0")
        self.num_frames = num_frames
        self.stride = stride
        self.fps = fps
        self.padding: Padding = padding
        self._stretch = 1.0

    def train_clip(self, length: int, fps: float, generator: np.random.Generator) -> np.ndarray:
        """Draw one clip with a uniform random start.

        Args:
            length: frames of the video (or of the record's part of it).
            fps: the video's frames per second.
            generator: the only source of chance.

        Returns:
            int64 (T,), ascending but for loops, each in [0, length).
        """
        step = self._step(fps)
        if self._stretch > 1:
            step *= generator.uniform(1.0, self._stretch)
        room = self._room(length, step)
        return self._clip(generator.uniform(0.0, room), length, step)

    def eval_clips(
        self, length: int, fps: float, num_clips: int, positions: Positions | None = None
    ) -> np.ndarray:
        """Place clips evenly: one in the middle, or the first at the start and the last at the end.

        For 100 frames, T = 16 and stride 2 (span 31, room 69), 4 clips start at 0, 23, 46, 69;
        with `without_end` at 0, 17, 34, 51.

        Args:
            length: frames of the video (or of the record's part of it).
            fps: the video's frames per second.
            num_clips: of the protocol.
            positions: of the starts; None is `ends`.

        Returns:
            int64 (num_clips, T).
        """
        step = self._step(fps)
        room = self._room(length, step)
        starts = clip_fractions(num_clips, positions or "ends") * room
        return np.stack([self._clip(start, length, step) for start in starts])

    def coarser(self, num_frames: int) -> DenseSampler:
        """Return what draws training clips of fewer frames, from as long a stretch at most.

        The step between frames is drawn for each clip, from this sampler's own up to the one at
        which a clip spans as much time as this sampler's do (Wu et al. 2020, section 3.3).
        """
        coarse = DenseSampler(
            num_frames=num_frames, stride=self.stride, fps=self.fps, padding=self.padding
        )
        coarse._stretch = max(1.0, (self.num_frames - 1) / max(1, num_frames - 1))
        return coarse

    def _step(self, fps: float) -> float:
        return self.stride if self.stride is not None else fps / float(self.fps or fps)

    def _room(self, length: int, step: float) -> float:
        """How far the start may move: the last real position must stay below `length`."""
        span = (self.num_frames - 1) * step + 1
        return max(0.0, length - span)

    def _clip(self, start: float, length: int, step: float) -> np.ndarray:
        positions = start + step * np.arange(self.num_frames)
        # 1e-6: a rate such as 30000/1001 must not turn frame 10.0 into 9.9999 and then into 9
        return pad_indices(np.floor(positions + 1e-6).astype(np.int64), length, self.padding)
