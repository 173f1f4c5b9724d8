"""Random resized crop of a training clip: 16 frames of 340x256 to 224 and to 112 pixels.

The same crops on both sides. Ours cuts the crop as a view of the decoded uint8 frames (T, H, W, C)
and resizes it, antialiased; the clip then travels as uint8 and is normalised on the device. The
others are torchvision v2 in uint8, given frames as (T, C, H, W) in memory, as its own readers
give them, or as a permuted view of (T, H, W, C); and what reference recipes do on the CPU:
resize in uint8 and normalise, or turn to float first. Against those, ours is normalised on the CPU
too. The uint8 results must be equal, the float ones nearly so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import ours
import torch
from peers import import_pytorchvideo
from table import Row, report
from timing import interleaved, ratio_row
from torchvision.transforms.v2 import RandomCrop, functional
from videos import PREPARED, draw_scene

from videoclf.data.dataset import collate
from videoclf.types import Sample

NUM_FRAMES = 16
AT_MOST = {224: 0.55, 112: 1.0}
MEAN, STD = [0.45, 0.45, 0.45], [0.225, 0.225, 0.225]

Box = tuple[int, int, int, int]


def measure(*, quick: bool) -> Iterator[Row]:
    """Compare at both sizes."""
    ours.use_one_thread()
    num_clips, rounds = (2, 1) if quick else (16, 9)
    frames = np.stack(list(draw_scene(NUM_FRAMES, PREPARED, seed=0)))  # (T, H, W, C)
    for pixels in (224, 112):
        yield from compare(frames, pixels, num_clips, rounds)


def compare(frames: np.ndarray, pixels: int, num_clips: int, rounds: int) -> Iterator[Row]:
    """Cut the same crops in every way."""
    clip_transform = ours.transform("standard", resize_pixels=256, crop_pixels=pixels)
    generator = np.random.default_rng(0)
    height, width = frames.shape[1:3]
    boxes = [clip_transform.train_box(height, width, generator) for _ in range(num_clips)]
    view = torch.from_numpy(frames).permute(0, 3, 1, 2)  # (T, C, H, W), channels last
    planes = view.contiguous()

    def cut(box: Box) -> torch.Tensor:
        return torch.from_numpy(clip_transform.cut(frames, box)).permute(0, 3, 1, 2)

    def normalised(box: Box) -> torch.Tensor:
        sample = Sample({"rgb": clip_transform.cut(frames, box)[None]}, (0,), 0, 0)
        batch = clip_transform.on_device(collate([sample]), seed=0, train=False)
        return batch.inputs["rgb"][0].transpose(0, 1)  # (T, C, pixels, pixels)

    def torchvision(video: torch.Tensor, box: Box) -> torch.Tensor:
        return functional.resized_crop(video, *box, [pixels, pixels], antialias=True)

    def uint8_then_float(box: Box) -> torch.Tensor:
        video = functional.to_dtype(torchvision(planes, box), torch.float32, scale=True)
        return functional.normalize(video, MEAN, STD)

    def float_first(box: Box) -> torch.Tensor:
        video = functional.to_dtype(planes, torch.float32, scale=True)
        return functional.normalize(torchvision(video, box), MEAN, STD)

    def row(
        text: str,
        own: Callable[[Box], torch.Tensor],
        other: Callable[[Box], torch.Tensor],
        tolerance: float,
        at_most: float | None = None,
    ) -> Row:
        assert_near(own, other, boxes, tolerance)
        sides = {"ours": lambda: _each(own, boxes), "other": lambda: _each(other, boxes)}
        seconds = interleaved(sides, rounds=rounds)
        return ratio_row(
            f"to {pixels}: our time of {text}", seconds, "ours", "other", at_most=at_most
        )

    # One step of uint8 is 1 / 255 / 0.225 = 0.017 of a normalised float.
    yield row(
        "torchvision v2's in uint8", cut, lambda box: torchvision(planes, box), 0, AT_MOST[pixels]
    )
    yield row(
        "torchvision v2's in uint8, frames a permuted view", cut, lambda b: torchvision(view, b), 0
    )
    yield row("torchvision v2's, uint8 to normalised float", normalised, uint8_then_float, 0.02)
    yield row("torchvision v2's, float from the start", normalised, float_first, 0.05)
    yield against_pytorchvideo(frames, pixels, num_clips, rounds)


def against_pytorchvideo(frames: np.ndarray, pixels: int, num_clips: int, rounds: int) -> Row:
    """Its recipe: float, normalise, short-side jitter, crop of fixed size; and ours of that kind.

    The crops are drawn by each side, so that results cannot be compared.
    """
    text = f"to {pixels}: our time of pytorchvideo's short-side jitter and crop, to float"
    try:
        _, transforms = import_pytorchvideo()
    except ImportError as error:
        return Row.skipped(text, f"pytorchvideo does not import ({error})")
    clip_transform = ours.transform("standard", resize_pixels=256, crop_pixels=pixels)
    generator = np.random.default_rng(0)
    short_sides = (256, 320) if pixels == 224 else (128, 160)
    steps = [
        transforms.Div255(),
        transforms.Normalize(MEAN, STD),
        transforms.RandomShortSideScale(*short_sides),
        RandomCrop(pixels),
    ]

    def own() -> None:
        for _ in range(num_clips):
            box = clip_transform.train_box(*frames.shape[1:3], generator)
            sample = Sample({"rgb": clip_transform.cut(frames, box)[None]}, (0,), 0, 0)
            clip_transform.on_device(collate([sample]), seed=0, train=False)

    def recipe() -> None:
        for _ in range(num_clips):
            video = torch.from_numpy(frames).permute(3, 0, 1, 2).float()  # (C, T, H, W)
            for step in steps:
                video = step(video)

    seconds = interleaved({"ours": own, "other": recipe}, rounds=rounds)
    return ratio_row(text, seconds, "ours", "other")


def _each(work: Callable[[Box], torch.Tensor], boxes: Sequence[Box]) -> None:
    for box in boxes:
        work(box)


def assert_near(
    own: Callable[[Box], torch.Tensor],
    other: Callable[[Box], torch.Tensor],
    boxes: Sequence[Box],
    tolerance: float,
) -> None:
    """Fail where two ways give results further apart than `tolerance`."""
    for box in boxes[:4]:
        a, b = own(box), other(box)
        assert a.shape == b.shape, f"{a.shape} is not {b.shape}"
        difference = float((a.float() - b.float()).abs().max())
        assert difference <= tolerance, f"results differ by {difference} at {box}"


if __name__ == "__main__":
    report(measure)
