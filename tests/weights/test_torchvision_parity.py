"""Random weights that torchvision's own code saves give torchvision's logits here."""

import hashlib

import pytest
import torch
from torchvision.models import video

from tests.models.contract import configured
from videoclf.weights.loading import load_entry
from videoclf.weights.sources import parse, torchvision_source

TINY = {"stem": video.resnet.BasicStem, "layers": [1, 1, 1, 1]}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of torch hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def publish(hub, entry, network, monkeypatch):
    """Save a network as torchvision publishes it: named after its hash, in torch hub's cache."""
    hub.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), hub / "new.pth")
    digest = hashlib.sha256((hub / "new.pth").read_bytes()).hexdigest()
    path = hub / f"{entry.partition('/')[0].lower()}-{digest[:8]}.pth"
    (hub / "new.pth").rename(path)
    published = torchvision_source._enum(parse(f"torchvision:{entry}"))
    moved = _Moved(published, f"https://download.pytorch.org/models/{path.name}")
    monkeypatch.setattr(torchvision_source, "_enum", lambda name: moved)
    return published.meta["categories"]


class _Moved:
    """An enum's entry whose file is another."""

    def __init__(self, found, url):
        self.meta, self.transforms, self.url = found.meta, found.transforms, url


def randomized(network):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer += 0.1 * torch.randn(buffer.shape, generator=generator)
    return network.eval()


CASES = {
    "R3D_18/KINETICS400_V1": ("r3d_18", video.r3d_18, (8, 48)),
    "MC3_18/KINETICS400_V1": ("mc3_18", video.mc3_18, (8, 48)),
    "R2Plus1D_18/KINETICS400_V1": ("r2plus1d_18", video.r2plus1d_18, (8, 48)),
    "S3D/KINETICS400_V1": ("s3d", video.s3d, (16, 224)),
    "MViT_V1_B/KINETICS400_V1": ("mvit_v1_b", video.mvit_v1_b, (16, 224)),
    "MViT_V2_S/KINETICS400_V1": ("mvit_v2_s", video.mvit_v2_s, (16, 224)),
    "Swin3D_T/KINETICS400_V1": ("swin3d_t", video.swin3d_t, (16, 224)),  # no less than its window
}
FAST = ("R3D_18/KINETICS400_V1",)


@pytest.mark.parametrize(
    "entry",
    [pytest.param(entry, marks=() if entry in FAST else pytest.mark.slow) for entry in CASES],
)
def test_logits_are_torchvisions(entry, hub, monkeypatch):
    option, build, (num_frames, pixels) = CASES[entry]
    torch.manual_seed(0)
    theirs = randomized(build(weights=None))
    classes = publish(hub, entry, theirs, monkeypatch)
    shape = {"num_frames": num_frames, "image_size": pixels}
    ours = configured(option, num_classes=400, **shape).eval()
    said = load_entry(f"torchvision:{entry}", ours, class_names=classes)
    assert "400 of 400 classes by name" in said
    rgb = torch.randn(1, 3, num_frames, pixels, pixels)
    with torch.no_grad():
        expected = theirs(rgb)
        found = ours(rgb)
    assert expected.abs().max() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
