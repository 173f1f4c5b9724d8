"""Draw one clip as a model sees it under each option of the group `transform`.

python docs/pictures/transforms.py docs/images/transforms.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from videoclf.build import build
from videoclf.cli.composing import compose_train
from videoclf.config import plain
from videoclf.generated.moving_shapes import MovingShapes
from videoclf.transforms.clip import ClipTransform
from videoclf.types import Batch

#: Two clips; the first is shown, the second is what mixup and CutMix take from.
CLIPS = ("train/right/00003.mp4", "train/clockwise/00005.mp4")
FRAMES = range(0, 25, 5)
SEED = 0
#: Options, and epochs that show different things; chance augments the clip anew in each.
ROWS = (("plain", (0,)), ("standard", (0, 2)), ("short_side", (2,)), ("strong", (6, 8, 12, 15)))


def draw_clips() -> np.ndarray:
    """Return the clips as a reader would: uint8 (2, T, 128, 128, 3)."""
    config = plain(compose_train(["data=moving_shapes", "data.size_pixels=128"]).data)
    shapes = build(config, name="data")
    assert isinstance(shapes, MovingShapes)
    return np.stack([shapes.draw(path)[FRAMES] for path in CLIPS])


def make_transform(option: str) -> ClipTransform:
    """Build an option as train.py would, but with flips, which these clips must not get."""
    overrides = [f"transform={option}", "transform.resize_pixels=128", "transform.crop_pixels=112"]
    config = compose_train([*overrides, "transform.directional=false"])
    transform: ClipTransform = build(plain(config.transform), name="transform")
    return transform


def augmented(transform: ClipTransform, clips: np.ndarray, epoch: int) -> np.ndarray:
    """Return what the model gets of the first clip, not normalised: float (T, H, W, 3)."""
    cut = []
    for index, clip in enumerate(clips):
        generator = np.random.default_rng((SEED, epoch, index))
        short_side = transform.train_short_side(generator)
        size = (short_side, short_side)
        frames = torch.from_numpy(clip).permute(0, 3, 1, 2)  # a reader decodes at this size
        frames = torch.nn.functional.interpolate(frames, size, mode="bilinear", antialias=True)
        box = transform.train_box(*size, generator)
        cut.append(transform.cut(frames.permute(0, 2, 3, 1).numpy(), box))
    batch = Batch(
        inputs={"rgb": torch.from_numpy(np.stack(cut)[:, None])},
        labels=torch.zeros(len(clips), 1, dtype=torch.int64),
        epochs=torch.full((len(clips),), epoch),
        indices=torch.arange(len(clips)),
        num_views=1,
    )
    video = transform.on_device(batch, seed=SEED, train=True).inputs["rgb"][0]  # (C, T, H, W)
    pixels = video.permute(1, 2, 3, 0) * torch.tensor(transform.std) + torch.tensor(transform.mean)
    return pixels.clamp(0, 1).numpy()


def draw(path: Path) -> None:
    """Write the picture."""
    mpl.use("Agg")
    plt.rcParams.update({"font.size": 9})
    clips = draw_clips()
    rows = [(option, epoch) for option, epochs in ROWS for epoch in epochs]
    figure, axes = plt.subplots(
        len(rows), len(FRAMES), figsize=(6.2, 1.04 * len(rows)), dpi=120, layout="constrained"
    )
    for row, (option, epoch) in enumerate(rows):
        video = augmented(make_transform(option), clips, epoch)
        for column, frame in enumerate(video):
            axes[row, column].imshow(frame)
        axes[row, 0].set_ylabel(
            f"{option}\nepoch {epoch}", rotation=0, ha="right", va="center", labelpad=4
        )
    for column, number in enumerate(FRAMES):
        axes[0, column].set_title(f"frame {number}", fontsize=9)
    for each in axes.flat:
        each.set_xticks([])
        each.set_yticks([])
        each.spines[:].set_visible(False)
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0, hspace=0)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    plt.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).quantize(128).save(path, optimize=True)  # a quarter of the bytes


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
