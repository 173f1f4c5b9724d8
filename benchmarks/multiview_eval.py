"""Ten clips x 3 crops of videos of 64 frames: each distinct frame encoded once, against all views.

Late fusion (resnet10t, crops of 112 pixels of a short side of 128), clips of 16 consecutive frames:
480 frames in the views of a video, 192 of them distinct. Both sides are what evaluate.py runs, with
inference.share_frames true and false, on the same videos; their probabilities must be equal within
1e-6. The possible gain is that of the frames, 2.5x; the target is 0.9 of it for what happens after
reading (device transform, network, averaging over views). A second row has the reading too. The
others are the reading of the 30 views alone (short side 256, crops of 224), against an opening a
view: as evaluate.py reads for such a network, and with every view put together, as for others. The
target is for GOP 250, as in multiview_read.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import multiview_read
import ours
import torch
from multiview_read import VIEWS
from table import Row, report
from timing import interleaved, ratio_row
from torch import nn
from videos import encode_scene

from videoclf.assembly import lay_channels_last
from videoclf.data.dataset import collate
from videoclf.evaluation.view_scorer import ViewScorer
from videoclf.models.late_fusion_pool import LateFusionPool
from videoclf.samplers.dense import DenseSampler
from videoclf.types import Batch

NUM_VIDEO_FRAMES = 64
SAMPLER = DenseSampler(num_frames=16, stride=1, fps=None, padding="last")
RESIZE_PIXELS, CROP_PIXELS = 128, 112
VIEWS_AT_ONCE = 16
SHARE = 0.9


def measure(*, quick: bool) -> Iterator[Row]:
    """Compare both ways, without reading and with it; then the reading alone."""
    ours.use_one_thread()
    rounds = 1 if quick else 7
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VIDEOCLF_CACHE"] = folder
        paths = {
            gop: encode_scene(Path(folder) / f"{gop}.mp4", num_frames=NUM_VIDEO_FRAMES, gop=gop)
            for gop in (12, 250)
        }
        crop_pixels = 32 if quick else CROP_PIXELS
        network = _network("test_resnet" if quick else "resnet10t", crop_pixels)
        sides = {
            shared: Side(network, paths[250], crop_pixels=crop_pixels, share_frames=shared)
            for shared in (True, False)
        }
        apart = float((sides[True].score() - sides[False].score()).abs().max())
        assert apart < 1e-6, f"probabilities differ by {apart}"
        gain = sides[True].frames_a_distinct_one
        text = "late fusion, 10x3 views of 16 frames, videos of 64: faster with shared frames"
        for row, call, at_least in (
            (f"{text} (possible {gain:g}x), after reading", Side.score, SHARE * gain),
            (f"{text}, reading included", Side.read_and_score, None),
        ):
            seconds = interleaved(
                {
                    "shared": partial(call, sides[True]),
                    "every view": partial(call, sides[False]),
                },
                rounds=rounds,
            )
            yield ratio_row(row, seconds, "every view", "shared", at_least=at_least)
        for gop, share_frames in (
            ((12, True),) if quick else ((12, True), (250, True), (250, False))
        ):
            how = "frames shared" if share_frames else "every view put together"
            yield multiview_read.compare(
                paths[gop],
                f"340x256, GOP {gop}, 64 frames, clips of 16 consecutive ones, {how}",
                SAMPLER,
                rounds=rounds,
                at_least=10.0 if gop == 250 else None,
                share_frames=share_frames,
            )


class Side:
    """One way to evaluate a video, as evaluate.py does video after video with one scorer."""

    def __init__(
        self, network: nn.Module, path: Path, *, crop_pixels: int, share_frames: bool
    ) -> None:
        crops = ours.transform("plain", resize_pixels=RESIZE_PIXELS, crop_pixels=crop_pixels)
        self.data = ours.dataset([path], SAMPLER, crops, views=VIEWS)
        self.data.share_frames = share_frames
        self.scorer = ViewScorer(network, views_at_once=VIEWS_AT_ONCE)
        self.batch = self.read()

    def read(self) -> Batch:
        """Read the video as a loader does."""
        return collate([self.data[(0, 0)]])

    @torch.inference_mode()
    def score(self) -> torch.Tensor:
        """Return the probabilities (1, K) of the video that was read."""
        batch = self.data.transform.on_device(self.batch, seed=0, train=False)
        ((_, logits),) = [*self.scorer.add(batch), *self.scorer.rest()]
        return VIEWS.video_probabilities(logits)

    def read_and_score(self) -> torch.Tensor:
        """Return the probabilities (1, K) of the video."""
        self.batch = self.read()
        return self.score()

    @property
    def frames_a_distinct_one(self) -> float:
        """How many places in the views a distinct frame fills, where frames are shared."""
        assert self.batch.frame_rows is not None
        return self.batch.frame_rows.numel() / self.batch.inputs["rgb"].shape[2]


def _network(backbone: str, crop_pixels: int) -> nn.Module:
    torch.manual_seed(0)
    network = LateFusionPool(
        num_classes=101,
        image_size=crop_pixels,
        backbone=backbone,
        pretrained=False,
        pooling="average",
        attention_width=64,
        temporal_kernel=3,
        hidden=(),
        dropout=0.0,
    ).eval()
    lay_channels_last(network)
    return network


if __name__ == "__main__":
    report(measure)
