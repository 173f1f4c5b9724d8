"""Random weights saved as pytorchvideo and PySlowFast do give pytorchvideo's logits here."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.models.contract import configured
from tests.weights import peer_names
from tests.weights.peer_networks import drawn, pytorchvideo
from videoclf.evaluation.views import Views
from videoclf.weights.card import Card
from videoclf.weights.class_sets import class_names_of
from videoclf.weights.loading import load_entry, load_file
from videoclf.weights.sources import parse, source_of

CLASSES = class_names_of("kinetics400")
#: Entry -> frames and pixels of the clip, small where the network allows it.
ENTRIES = {
    "slow_r50": (8, 64),
    "c2d_r50": (8, 64),
    "i3d_r50": (8, 64),
    "slowfast_4x16_r50": (32, 64),
    "slowfast_r50": (32, 64),
    "slowfast_r101": (32, 32),
    "slowfast_16x8_r101_50_50": (64, 32),
    "csn_r101": (32, 64),
    "r2plus1d_r50": (16, 64),
    "x3d_xs": (4, 64),
    "x3d_s": (13, 64),
    "x3d_m": (16, 64),
    "x3d_l": (4, 64),
    "mvit_base_16x4": (16, 224),
    "mvit_base_32x3": (32, 224),
}
FAST = ("x3d_xs",)


def network(entry):
    """Build an entry's network; its pooling takes the whole map, and it gives logits."""
    hub = pytorchvideo()
    if entry == "slowfast_4x16_r50":
        settings = {
            "slowfast_fusion_conv_kernel_size": (5, 1, 1),
            "slowfast_fusion_conv_stride": (8, 1, 1),
            "head_pool_kernel_sizes": ((4, 7, 7), (32, 7, 7)),
        }
        theirs = hub.slowfast.create_slowfast(**settings)
    else:
        theirs = getattr(hub, entry)()
    for module in theirs.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.AvgPool3d):  # its window is that of 224 pixels
                setattr(module, name, nn.AdaptiveAvgPool3d(1))
    if entry.startswith(("x3d", "r2plus1d")):
        theirs.blocks[-1].activation = None
    return drawn(theirs)


def save(state, path, *, legacy=False):
    """Save as PySlowFast does: weights beside epoch, optimiser and the configuration as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    optimizer = {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}
    torch.save(
        {
            "epoch": 195,
            "model_state": state,
            "optimizer_state": optimizer,
            "cfg": "MODEL:\n  NUM_CLASSES: 400\n",
        },
        path,
        _use_new_zipfile_serialization=not legacy,
    )


def from_card(card, num_frames, pixels):
    """Build the model that a card names."""
    settings = dict(card.model_settings)
    return configured(
        card.model, num_classes=400, num_frames=num_frames, image_size=pixels, **settings
    ).eval()


def pathways(entry, rgb, model):
    """Give a clip as the peer wants it: SlowFast's pathways apart."""
    return [rgb[:, :, :: model.alpha], rgb] if entry.startswith("slowfast") else rgb


def compare(found, expected):
    """Hold logits against each other."""
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "entry", [pytest.param(e, marks=() if e in FAST else pytest.mark.slow) for e in ENTRIES]
)
def test_logits_are_pytorchvideos(entry, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    num_frames, pixels = ENTRIES[entry]
    theirs = network(entry)
    name = parse(f"pytorchvideo:{entry}")
    card = source_of(name).card(name)
    path = tmp_path / "hub" / "checkpoints" / card.url.rpartition("/")[2]
    save(theirs.state_dict(), path, legacy=entry == "x3d_xs")
    ours = from_card(card, num_frames, pixels)
    said = load_entry(str(name), ours, class_names=CLASSES)
    assert "400 of 400 classes by name" in said
    assert "unmatched" not in said
    rgb = torch.randn(1, 3, num_frames, pixels, pixels)
    with torch.no_grad():
        compare(ours(rgb), theirs(pathways(entry, rgb, ours)))


def pairs(layout, entry, model):
    """List the modules of an entry's network, there and here."""
    if entry.startswith("x3d"):
        return peer_names.x3d(layout, [3, 5, 11, 7])
    if entry.startswith("mvit"):
        return peer_names.mvit(layout, model)
    if entry.startswith("slowfast"):
        return peer_names.slowfast(layout, model)
    return peer_names.resnet_3d(layout, model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "entry", ["slow_r50", "i3d_r50", "slowfast_r50", "x3d_s", "mvit_base_16x4"]
)
def test_pyslowfasts_names_of_the_same_network_give_the_same_logits(entry, tmp_path):
    num_frames, pixels = ENTRIES[entry]
    theirs = network(entry)
    name = parse(f"pytorchvideo:{entry}")
    ours = from_card(source_of(name).card(name), num_frames, pixels)
    there = peer_names.named_as(pairs("pytorchvideo", entry, ours), ours.state_dict())
    assert sorted(there) == sorted(theirs.state_dict())
    if entry.startswith("x3d"):  # PySlowFast normalises the first shortcut too
        theirs.blocks[1].res_blocks[0].branch1_norm = drawn(nn.BatchNorm3d(24), seed=5)
    here = dict(pairs("pytorchvideo", entry, ours))
    of_ours = {ours: theirs for theirs, ours in pairs("pyslowfast", entry, ours)}
    state = {}
    for full, value in theirs.state_dict().items():
        module = next(m for m in here if full == m or full.startswith(m + "."))
        state[of_ours[here[module]] + full[len(module) :]] = value
    save(state, tmp_path / "net.pyth", legacy=entry == "slow_r50")
    card = Card(name="file:net.pyth", layout="pyslowfast", classes=CLASSES)
    said = load_file(tmp_path / "net.pyth", card, ours, class_names=CLASSES)
    assert "unmatched" not in said
    rgb = torch.randn(1, 3, num_frames, pixels, pixels)
    with torch.no_grad():
        compare(ours(rgb), theirs(pathways(entry, rgb, ours)))


#: The first three are tried in every run of the tests.
NARROW = ("x3d_xs", "slow_r50", "csn_r101", "c2d_r50", "slowfast_r50", "r2plus1d_r50")


def narrow(entry):
    """Build an entry's network with fewer channels; return the settings of ours, too."""
    hub = pytorchvideo()
    if entry.startswith("x3d"):  # small as it is
        return drawn(getattr(hub, entry)()), {}
    if entry.startswith("slowfast"):
        theirs = hub.slowfast.create_slowfast(
            slowfast_fusion_conv_kernel_size=(7, 1, 1), stem_dim_outs=(16, 2)
        )
        return drawn(theirs), {"width": 16}
    return drawn(getattr(hub, entry)(stem_dim_out=8)), {"stem_width": 8}


@pytest.mark.parametrize(
    "entry", [pytest.param(e, marks=() if e in NARROW[:3] else pytest.mark.slow) for e in NARROW]
)
def test_at_the_crop_of_the_protocol_scores_are_pytorchvideos(entry, tmp_path, monkeypatch):
    """Windows as large as the training crop's map, by its own heads.

    The workflow that measured its accuracies takes the softmax of each window, which is the head's
    own activation; without it, as torch hub's ResNets come, the logits are averaged.
    """
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = parse(f"pytorchvideo:{entry}")
    card = source_of(name).card(name)
    theirs, narrowed = narrow(entry)
    save(theirs.state_dict(), tmp_path / "hub" / "checkpoints" / card.url.rpartition("/")[2])
    card = replace(card, model_settings={**card.model_settings, **narrowed})
    ours = from_card(card, card.num_frames, card.crop_pixels)
    load_entry(str(name), ours, class_names=CLASSES)
    rgb = torch.randn(1, 3, card.num_frames, card.crop_pixels, card.crop_pixels)
    views = Views(num_clips=1, num_crops=1, average="probabilities")
    with torch.no_grad():
        if entry == "slow_r50":
            ours.windows.window_average = "logits"
            compare(ours(rgb), theirs(rgb))
            ours.windows.window_average = "probabilities"
        theirs.blocks[-1].activation = nn.Softmax(dim=1)
        expected = theirs(pathways(entry, rgb, ours)).log()
        found = views.video_probabilities(ours(rgb)[:, None]).log()
        compare(found, expected)
        ours.windows.places = None  # as it would be without the card
        other = views.video_probabilities(ours(rgb)[:, None]).log()
    difference = float((other - expected).abs().max())
    print(f"{entry}: without windows, logarithms of scores differ by {difference:.4f}")
    assert difference > 1e-3
