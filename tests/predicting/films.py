"""Films of plain grey pictures, networks whose answers are known, and a predictor of them."""

from pathlib import Path

import av
import numpy as np
import torch
import yaml
from torch import nn

from videoclf.predicting.predictor import Predictor

EDGE = 64
DARK, LIGHT = 40, 210


def write_grey(path, levels, *, rate=20):
    """Write a video whose frames are grey, one level each; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        stream.width = stream.height = EDGE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for level in levels:
            picture = np.full((EDGE, EDGE, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


class Brightness(nn.Module):
    """Class 0 of dark clips, class 1 of light ones; remembers the clips where it is asked to."""

    def __init__(self, remember=False):
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(10.0))
        self.clips = [] if remember else None

    def forward(self, rgb):
        if self.clips is not None:
            pictures = rgb.mul(255).round().byte().permute(0, 2, 3, 4, 1)
            self.clips.extend(pictures.numpy())  # (T, H, W, 3) each
        light = (rgb.mean((1, 2, 3, 4)) - 0.5) * self.steepness
        return torch.stack([-light, light], 1)


class Brightening(nn.Module):
    """Class 1 where the last frame is lighter than the first: nothing but motion."""

    def __init__(self):
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(50.0))

    def forward(self, rgb):
        levels = rgb.mean((1, 3, 4))  # (N, T)
        more = (levels[:, -1] - levels[:, 0] - 0.01) * self.steepness
        return torch.stack([-more, more], 1)


def settings_of(run, *, num_frames=4, stride=2, num_clips=1):
    """Return a run's settings for two classes, whole frames and pixels from 0 to 1."""
    text = (Path(run) / "config.yaml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    settings["data"] |= {"num_workers": 0, "reader": "pyav", "class_names": ["dark", "light"]}
    settings["data"] |= {"num_classes": 2, "root": None}
    settings["sampler"] |= {"num_frames": num_frames, "stride": stride}
    settings["transform"] |= {"resize_pixels": EDGE, "crop_pixels": EDGE}
    settings["transform"] |= {"mean": [0.0] * 3, "std": [1.0] * 3}
    settings["views"] |= {"num_clips": num_clips}
    return settings


def predictor_of(run, model, **changes):
    """Return a predictor of a known network."""
    return Predictor(
        model=model, class_names=["dark", "light"], settings=settings_of(run, **changes)
    )
