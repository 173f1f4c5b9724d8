"""Thirty views of a video (10 clips x 3 crops) in one pass, against an opening for every view.

Clips of 16 frames with stride 8, spread over a 10 s video of 340x256, crops of 224 pixels. The
other side opens the file, decodes the clip and cuts the crop once for each view, with the same
reader, as data sets do that index by view. Both sides must give the same bytes. The target is
for GOP 250, where a view has to be decoded from far back; at GOP 12 the other side has less to
do again, and the gain is smaller whatever one does.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import ours
from table import Row, report
from timing import interleaved, ratio_row
from videos import encode_scene

from videoclf.evaluation.views import Views
from videoclf.readers.pyav import PyavReader
from videoclf.samplers.dense import DenseSampler
from videoclf.types import Sample

SAMPLER = DenseSampler(num_frames=16, stride=8, fps=None, padding="last")
VIEWS = Views(num_clips=10, num_crops=3, average="probabilities")
AT_LEAST = {12: None, 250: 14.0}


def measure(*, quick: bool) -> Iterator[Row]:
    """Compare at both GOPs."""
    ours.use_one_thread()
    num_frames, rounds = (60, 1) if quick else (300, 5)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VIDEOCLF_CACHE"] = folder
        for gop in (12, 250):
            path = encode_scene(Path(folder) / f"{gop}.mp4", num_frames=num_frames, gop=gop)
            what = f"340x256, GOP {gop}"
            yield compare(path, what, SAMPLER, rounds=rounds, at_least=AT_LEAST[gop])


def compare(
    path: Path,
    what: str,
    sampler: DenseSampler,
    *,
    rounds: int,
    at_least: float | None,
    share_frames: bool = False,
) -> Row:
    """Read all views of one video in both ways.

    With `share_frames` our side gives each distinct frame of a crop once, and says which frames a
    clip consists of, as evaluate.py reads for frame-wise networks.
    """
    crops = ours.transform("plain", resize_pixels=256, crop_pixels=224)
    data = ours.dataset([path], sampler, crops, views=VIEWS)
    data.share_frames = share_frames

    def one_pass() -> Sample:
        sample = data[(0, 0)]
        assert isinstance(sample, Sample)
        return sample

    def one_opening_a_view() -> np.ndarray:
        views = []
        for number in range(VIEWS.num_views):
            clip, crop = divmod(number, VIEWS.num_crops)
            with PyavReader(str(path)) as reader:
                indices = sampler.eval_clips(reader.num_frames, reader.fps, VIEWS.num_clips)[clip]
                frames = reader.frames(indices, short_side=crops.resize_pixels)
            views.append(crops.view_crops(frames, VIEWS.num_crops)[crop])
        return np.stack(views)

    assert np.array_equal(_views(one_pass()), one_opening_a_view()), "the views differ"
    sides = {"one pass": one_pass, "an opening a view": one_opening_a_view}
    seconds = interleaved(sides, rounds=rounds)
    text = f"{what}: faster in one pass than with an opening a view, 10x3 views"
    return ratio_row(text, seconds, "an opening a view", "one pass", at_least=at_least)


def _views(sample: Sample) -> np.ndarray:
    """Return all views of a sample, uint8 (30, T, 224, 224, 3)."""
    clips = sample.clips["rgb"]
    if sample.frame_rows is None:
        return clips
    return np.stack([crop[rows] for rows in sample.frame_rows for crop in clips])


if __name__ == "__main__":
    report(measure)
