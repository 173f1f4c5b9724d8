"""One video file through PyTorchVideo's documented preprocessing, and through ours by the card.

Its `transforms` do not import beside today's torchvision, so that what its tutorial for torch hub
does stands here in plain steps: the frames of a clip by their times, some of them evenly
(`uniform_temporal_subsample`), [0, 1], normalised, the short side scaled bilinearly in floats
(`short_side_scale`), the centre cropped. Ours scales in uint8.
"""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.transforms.examples import standard
from tests.weights.peer_networks import drawn as random
from tests.weights.peer_networks import pytorchvideo
from tests.weights.test_pytorchvideo_parity import from_card, save
from videoclf.data.dataset import VideoDataset, collate
from videoclf.data.manifest import Manifest
from videoclf.evaluation.views import Views
from videoclf.readers.pyav import PyavReader
from videoclf.samplers.dense import DenseSampler
from videoclf.weights.class_sets import class_names_of
from videoclf.weights.loading import load_entry
from videoclf.weights.sources import parse, source_of

REAL = Path(__file__).resolve().parents[2].parent / "shared/data/clips/mmaction2/test.mp4"
#: Frames, and frames from one to the next at 30 a second, of the tutorial for x3d_s.
NUM_FRAMES, RATE = 13, 6


@pytest.fixture
def real():
    """A real video of 30 frames a second."""
    if not REAL.is_file():
        pytest.skip(f"needs the real video {REAL.name} of the shared data")
    return REAL


@pytest.fixture
def drawn(tmp_path):
    """A drawn and encoded one."""
    path = tmp_path / "drawn.mp4"
    down, across = np.mgrid[:240, :320]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(120):
            wave = 127 + 120 * np.sin((across + 3 * number) / 17) * np.cos(down / 23)
            picture = np.stack([wave, wave[::-1], 255 - wave], axis=-1).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def theirs(path, card):
    """Prepare the first clip as the tutorial does: float32 (1, 3, T, S, S)."""
    seconds = NUM_FRAMES * RATE / 30
    with av.open(str(path)) as container:
        shown = [frame for frame in container.decode(video=0) if frame.time < seconds]
        frames = np.stack([frame.to_rgb().to_ndarray() for frame in shown])  # (N, H, W, 3)
    rows = torch.linspace(0, len(frames) - 1, NUM_FRAMES).clamp(0, len(frames) - 1).long()
    clip = torch.from_numpy(frames)[rows].permute(3, 0, 1, 2).float() / 255  # (3, T, H, W)
    clip = (clip - 0.45) / 0.225
    height, width = clip.shape[2:]
    short = card.resize_pixels
    size = (
        (int(height / width * short), short)
        if width < height
        else (short, int(width / height * short))
    )
    clip = F.interpolate(clip, size=size, mode="bilinear", align_corners=False)
    top, left = (round((side - card.crop_pixels) / 2) for side in clip.shape[2:])
    edge = card.crop_pixels
    return clip[None, :, :, top : top + edge, left : left + edge]


def ours(path, card, *, view=1):
    """Prepare the first of the card's clips, the middle crop: float32 (1, 3, T, S, S)."""
    transform = standard(
        resize_pixels=card.resize_pixels,
        crop_pixels=card.crop_pixels,
        mean=card.mean,
        std=card.std,
    )
    data = VideoDataset(
        manifest=Manifest.from_columns(
            class_names=["a"], paths=[path.name], labels=[(0,)], subsets=["test"]
        ),
        folder=path.parent,
        open_video=PyavReader,
        sampler=DenseSampler(
            num_frames=card.num_frames, stride=card.stride, fps=card.fps, padding="last"
        ),
        transform=transform,
        seed=0,
        views=Views(average="probabilities", resizing=card.resizing, **card.views),
    )
    batch = transform.on_device(collate([data[0, 0]]), seed=0, train=False)
    clips = batch.inputs["rgb"]  # (10 clips x 3 crops, 3, T, S, S)
    assert len(clips) == 30
    return clips[view : view + 1]


def card_of(entry):
    name = parse(f"pytorchvideo:{entry}")
    return source_of(name).card(name)


@pytest.mark.parametrize("video", ["real", "drawn"])
def test_pixels_are_within_a_rounding_of_uint8(video, request):
    card, video = card_of("x3d_s"), request.getfixturevalue(video)
    expected, found = theirs(video, card), ours(video, card)
    assert found.shape == expected.shape
    steps = (found - expected).abs() * 0.225 * 255  # in steps of uint8
    print(f"per pixel: at most {steps.max():.2f}, on average {steps.mean():.3f} of 255")
    assert steps.max() < 0.6
    assert steps.mean() < 0.3


def make_sharp(peer, seen, unseen):
    """Scale and shift the class head so that what is seen decides the scores.

    Random weights give each clip nearly the same logits z. With k (z - z of another crop) that
    other crop's scores are all alike, and those of this one are not.
    """
    head = peer.blocks[-1].proj
    activation, peer.blocks[-1].activation = peer.blocks[-1].activation, None
    with torch.no_grad():
        logits, others = peer(seen), peer(unseen)
        scale = 1.5 / (logits - others).std()
        head.weight.mul_(scale)
        head.bias.sub_(others[0]).mul_(scale)
    peer.blocks[-1].activation = activation


def test_scores_are_the_peers(real, tmp_path, monkeypatch):
    """Random weights, pytorchvideo's own network on its pixels, ours on ours."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    card = card_of("x3d_s")
    seen, unseen = theirs(real, card), ours(real, card, view=0)
    peer = random(pytorchvideo().x3d_s())
    make_sharp(peer, seen, unseen)
    save(peer.state_dict(), tmp_path / "hub" / "checkpoints" / "X3D_S.pyth")
    model = from_card(card, NUM_FRAMES, card.crop_pixels)
    card_views = Views(num_clips=1, num_crops=1, average="probabilities")
    load_entry(card.name, model, class_names=class_names_of("kinetics400"))
    with torch.no_grad():
        expected = peer(seen)  # the softmax of each window, averaged
        found, elsewhere = (
            card_views.video_probabilities(model(clip)[:, None])
            for clip in (ours(real, card), unseen)
        )
    print(f"another crop changes scores by {(found - elsewhere).abs().max():.1e}")
    print(f"scores differ by at most {(found - expected).abs().max():.1e} of {expected.max():.3f}")
    assert (found - elsewhere).abs().max() > 0.02
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
