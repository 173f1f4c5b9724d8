"""Four clips of each opened video (repeated augmentation) against an opening for every clip.

The same clips on both sides, 8 frames with stride 8, from a 10 s video of 340x256, from the file
to the uint8 crop. Both sides must give the same bytes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import ours
from table import Row, report
from timing import interleaved, ratio_row
from videos import encode_scene

from videoclf.data.dataset import VideoDataset
from videoclf.samplers.dense import DenseSampler
from videoclf.samplers.positions import Positions
from videoclf.types import Sample

CLIPS_PER_VIDEO = 4
AT_LEAST = {12: 1.4, 250: 2.5}


class ListedClips:
    """A sampler that hands out clips drawn before, over and over."""

    def __init__(self, clips: Sequence[np.ndarray]) -> None:
        self.num_frames = len(clips[0])
        self.clips = clips
        self.next = 0

    def train_clip(self, length: int, fps: float, generator: np.random.Generator) -> np.ndarray:  # noqa: ARG002
        """Return the next clip, int64 (T,)."""
        self.next += 1
        return self.clips[(self.next - 1) % len(self.clips)]

    def eval_clips(
        self, length: int, fps: float, num_clips: int, positions: Positions | None = None
    ) -> np.ndarray:
        """Not asked for here."""
        raise NotImplementedError


def measure(*, quick: bool) -> Iterator[Row]:
    """Compare at both GOPs."""
    ours.use_one_thread()
    num_frames, num_openings, rounds = (100, 1, 1) if quick else (300, 12, 7)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VIDEOCLF_CACHE"] = folder
        for gop in (12, 250):
            path = encode_scene(Path(folder) / f"{gop}.mp4", num_frames=num_frames, gop=gop)
            yield compare(path, gop, num_frames, num_openings * CLIPS_PER_VIDEO, rounds)


def compare(path: Path, gop: int, num_frames: int, num_clips: int, rounds: int) -> Row:
    """Load the same random clips in both ways."""
    dense = DenseSampler(num_frames=8, stride=8, fps=None, padding="last")
    generator = np.random.default_rng(0)
    clips = [dense.train_clip(num_frames, 30.0, generator) for _ in range(num_clips)]
    middle = ours.transform("plain", resize_pixels=256, crop_pixels=224)

    def loaded(data: VideoDataset) -> np.ndarray:
        samples = [data[(0, 0)] for _ in range(num_clips // data.clips_per_video)]
        return np.concatenate([x.clips["rgb"] for x in samples if isinstance(x, Sample)])

    single = ours.dataset([path], ListedClips(clips), middle)
    several = ours.dataset([path], ListedClips(clips), middle, clips_per_video=CLIPS_PER_VIDEO)
    assert np.array_equal(loaded(single), loaded(several)), "the clips differ"
    sides = {"single": lambda: loaded(single), "several": lambda: loaded(several)}
    seconds = interleaved(sides, rounds=rounds)
    text = f"340x256, GOP {gop}: clips a second with {CLIPS_PER_VIDEO} an opening, against 1"
    return ratio_row(text, seconds, "single", "several", at_least=AT_LEAST[gop])


if __name__ == "__main__":
    report(measure)
