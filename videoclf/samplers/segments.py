"""Segment sampling: the whole video in T equal parts, one frame of each.

Source: Temporal Segment Networks (Wang et al. 2016), section 3.1.
"""

from __future__ import annotations

import numpy as np

from videoclf.samplers.positions import Positions, clip_fractions

#: The place of the end of a segment: within its last frame, not at the next segment's first.
_LAST_PLACE = 1 - 1e-9


class SegmentSampler:
    """One frame from each of T equal segments; random within it in training, fixed in evaluation.

    Args:
        num_frames: T, segments and so frames a clip.

    Raises:
        ValueError: `num_frames` below 1.
    """

    def __init__(self, *, num_frames: int) -> None:
        if num_frames < 1:
            raise ValueError(f"sampler.num_frames={num_frames} must be at least 1")
        self.num_frames = num_frames

    def train_clip(self, length: int, fps: float, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG002
        """Draw one frame uniformly from each segment.

        Args:
            length: frames of the video (or of the record's part of it).
            fps: unused; segments depend on the length alone.
            generator: the only source of chance.

        Returns:
            int64 (T,), ascending, each in [0, length); a video shorter than T repeats frames.
        """
        return self._clip(length, generator.uniform(0.0, 1.0, self.num_frames))

    def eval_clips(
        self,
        length: int,
        fps: float,  # noqa: ARG002
        num_clips: int,
        positions: Positions | None = None,
    ) -> np.ndarray:
        """Take the same place in every segment: clip k of n at (k + 1/2) / n of each segment.

        For 80 frames, T = 8 and 1 clip: 5, 15, ..., 75. With 2 clips: 2, 12, ... and 7, 17, ...;
        with `without_end` 0, 10, ... and 5, 15, ..., as TSM and VideoMAE sample two clips.

        Args:
            length: frames of the video (or of the record's part of it).
            fps: unused; segments depend on the length alone.
            num_clips: of the protocol.
            positions: of the place within a segment; None is `centres`.

        Returns:
            int64 (num_clips, T).
        """
        offsets = np.minimum(clip_fractions(num_clips, positions or "centres"), _LAST_PLACE)
        return np.stack([self._clip(length, np.full(self.num_frames, o)) for o in offsets])

    def coarser(self, num_frames: int) -> SegmentSampler:
        """Return what takes fewer, longer segments of the whole video."""
        return SegmentSampler(num_frames=num_frames)

    def _clip(self, length: int, offsets: np.ndarray) -> np.ndarray:
        if length < 1:
            raise ValueError(f"a video of {length} frames has nothing to sample")
        positions = (np.arange(self.num_frames) + offsets) * (length / self.num_frames)
        return np.asarray(np.minimum(positions.astype(np.int64), length - 1))
