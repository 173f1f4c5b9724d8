"""The same video file through a peer's preprocessing and through ours by the card."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
import yaml

from tests.barcode import write_barcodes
from tests.models.contract import configured
from videoclf.build import build
from videoclf.data.dataset import VideoDataset, collate
from videoclf.data.manifest import Manifest
from videoclf.readers import reader_class
from videoclf.weights.card import Card
from videoclf.weights.settings import test_settings as settings_of
from videoclf.weights.sources import parse, source_of

CONF = Path(__file__).parents[2] / "conf"
CLIPS = Path(__file__).parents[3] / "shared" / "data" / "ucf101_three_classes" / "videos"
TINY = {"widths": [8, 8, 16, 16], "blocks": [1, 1, 1, 1]}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A clip of UCF-101 where the shared data are at hand, else an encoded drawing of odd size."""
    real = sorted(CLIPS.rglob("*.avi"))
    if real:
        return real[0]
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    return write_barcodes(path, range(80), height=238, width=316)


def peer_frames(path):
    """Decode as PyAV does by itself: uint8 (N, H, W, 3)."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def group(name, option, **changes):
    node = yaml.safe_load((CONF / name / f"{option}.yaml").read_text(encoding="utf-8"))
    node.pop("defaults", None)
    return build({**node, **changes}, name=name)


def ours(path, card: Card, *, num_clips=1):
    """Read a file by a card, as evaluate.py does: float (V, C, T, H, W), and which frames."""
    found = {key: value for key, value in settings_of(card).items() if "." in key}

    def of(name):
        return {
            key.partition(".")[2]: value
            for key, value in found.items()
            if key.startswith(f"{name}.")
        }

    sampler = group("sampler", "dense", **of("sampler"))
    transform = group("transform", "plain", **of("transform"), directional=False)
    views = group("views", "default", **{**of("views"), "num_clips": num_clips})
    manifest = Manifest.from_columns(
        class_names=("a",), paths=[path.name], labels=[(0,)], subsets=["test"]
    )
    dataset = VideoDataset(
        manifest=manifest,
        folder=path.parent,
        open_video=reader_class("pyav"),
        sampler=sampler,
        transform=transform,
        seed=0,
        views=views,
    )
    with reader_class("pyav")(str(path)) as reader:
        indices = sampler.eval_clips(reader.num_frames, reader.fps, num_clips, views.positions)
    batch = transform.on_device(collate([dataset[0, 0]]), seed=0, train=False)
    return batch.inputs["rgb"], indices[num_clips // 2]


def compare(found, expected, seed_model):
    """Report the largest difference of a pixel, and hold the scores against one another."""
    off = float((found - expected).abs().max())
    print(f"largest difference of a normalised pixel: {off:.2g}")
    with torch.no_grad():
        scores = [seed_model(clip).softmax(-1) for clip in (found, expected)]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-3, rtol=0)
    return off


@pytest.mark.parametrize(
    "entry", ["R3D_18/KINETICS400_V1", "MViT_V2_S/KINETICS400_V1", "S3D/KINETICS400_V1"]
)
def test_torchvisions_preset(entry, video):
    from torchvision.models import get_weight

    model, _, weights = entry.partition("/")
    preset = get_weight(f"{model}_Weights.{weights}").transforms()
    name = parse(f"torchvision:{entry}")
    card = source_of(name).card(name)
    found, indices = ours(video, card)
    frames = torch.from_numpy(peer_frames(video)[indices]).permute(0, 3, 1, 2)  # (T, C, H, W)
    expected = preset(frames)[None]
    assert found.shape == expected.shape
    network = configured("r3d_18", **TINY).eval()
    assert compare(found, expected, network) <= 1e-5


def test_our_own_way_differs_where_the_card_is_left(video):
    name = parse("torchvision:R3D_18/KINETICS400_V1")
    card = source_of(name).card(name)
    found, _ = ours(video, card)
    plain = Card(**{**vars(card), "resizing": "decoder", "resize_pixels": 128})
    other, _ = ours(video, plain)
    assert (found - other).abs().max() > 0.1


def test_transformers_processor(video, tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs videoclf[transformers]")
    config = transformers.VideoMAEConfig(num_frames=16)
    config.save_pretrained(tmp_path)
    processor = transformers.VideoMAEImageProcessor()
    processor.save_pretrained(tmp_path)
    name = parse(f"hf:{tmp_path}")
    card = source_of(name).card(name)
    found, indices = ours(video, card)
    frames = list(peer_frames(video)[indices])
    expected = processor(frames, return_tensors="pt")["pixel_values"].transpose(1, 2)
    assert found.shape == expected.shape
    network = configured("r3d_18", **TINY).eval()
    assert compare(found, expected, network) <= 0.02
