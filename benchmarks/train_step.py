"""A training step of our networks against torchvision's, the same weights on the same clips.

Both sides do what a step does: forward, cross-entropy, backward, SGD with momentum. Before any
step their logits are held against each other. One side is the network laid out as torchvision
leaves it, to compare the code; the other as train.py lays it out (channels last), to compare what
a user gets. Then, against our own 32-bit step, bfloat16 autocast, where the processor computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import ours
import torch
from table import Row, report
from timing import interleaved, ratio_row
from torch import nn
from torchvision.models import video

from videoclf.assembly import lay_channels_last
from videoclf.build import build
from videoclf.cli.composing import compose_train
from videoclf.config import plain

NETWORKS = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d")
#: Clips, frames and pixels of a batch; torchvision's S3D takes nothing smaller than its last.
SIZES = {"s3d": (1, 16, 224)}
SIZE, CLASSES = (2, 8, 80), 400
TOLERANCE = 1e-4  # of logits, absolute


def measure(*, quick: bool) -> Iterator[Row]:
    """Yield, for each network, ours against torchvision's and bfloat16 against 32 bits."""
    ours.use_one_thread()
    for name in NETWORKS[:1] if quick else NETWORKS:
        num_clips, frames, pixels = (1, 8, 32) if quick else SIZES.get(name, SIZE)
        torch.manual_seed(0)
        clips = torch.randn(num_clips, frames, pixels, pixels, 3).permute(0, 4, 1, 2, 3)
        theirs = getattr(video, name)(weights=None, num_classes=CLASSES)
        planes = clips.contiguous()  # (B, C, T, H, W) as it is read
        sides = {
            "torchvision": step(theirs, planes),
            "ours": step(ours_like(name, theirs, planes, last=False), planes),
            "as trained": step(ours_like(name, theirs, planes, last=True), clips),
        }
        if torch.cpu._is_avx512_bf16_supported():
            model = ours_like(name, theirs, planes, last=True)
            sides["bfloat16"] = step(model, clips, autocast=True)
        seconds = interleaved(sides, rounds=1 if quick else 9)
        yield ratio_row(f"{name}: ours / torchvision", seconds, "ours", "torchvision", at_most=1.02)
        compared = f"{name}: ours, channels last / torchvision"
        yield ratio_row(compared, seconds, "as trained", "torchvision", at_most=1.02)
        compared = f"{name}: ours, channels last, bfloat16 / 32 bits"
        if "bfloat16" in seconds:
            yield ratio_row(compared, seconds, "bfloat16", "as trained")
        else:
            yield Row.skipped(compared, "the processor does not compute in bfloat16")


def ours_like(name: str, theirs: nn.Module, clips: torch.Tensor, *, last: bool) -> nn.Module:
    """Build our network with torchvision's weights; assert that it gives the same logits."""
    sizes = [f"sampler.num_frames={clips.shape[2]}", f"transform.crop_pixels={clips.shape[-1]}"]
    config = compose_train([f"model={name}", f"data.num_classes={CLASSES}", *sizes])
    model: nn.Module = build({**plain(config.model), "dropout": 0.0}, name="model")
    model.load_torchvision(theirs.state_dict())  # type: ignore[operator]
    for module in theirs.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    if last:
        lay_channels_last(model)
    with torch.no_grad():
        difference = (model.eval()(clips) - theirs.eval()(clips)).abs().max()
    assert difference < TOLERANCE, f"{name}: logits differ by {difference}"
    return model


def step(model: nn.Module, clips: torch.Tensor, *, autocast: bool = False) -> Callable[[], None]:
    """Return a function that does one training step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    labels = torch.arange(len(clips))

    def run() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = model.train()(clips)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return run


if __name__ == "__main__":
    report(measure)
