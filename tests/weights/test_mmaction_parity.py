"""Random weights of MMAction2's own networks, saved as its runner does, give its logits here."""

from dataclasses import replace

import pytest
import torch

from tests.models.contract import configured
from tests.weights import peer_names
from tests.weights.peer_networks import drawn, mmaction
from videoclf.weights.loading import load_file
from videoclf.weights.sources import parse, source_of

#: Config -> arguments of the backbone made smaller, those of ours, frames, pixels, names.
CASES = {
    "x3d_s_13x6x1_facebook-kinetics400-rgb": ({}, {}, 4, 64, None),
    "slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb": ({}, {}, 8, 64, "resnet_3d"),
    "slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb": ({}, {}, 32, 64, "slowfast"),
    "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb": ({}, {}, 32, 64, None),
    "c2d_r50-in1k-pre-nopool_8xb32-8x8x1-100e_kinetics400-rgb": ({}, {}, 4, 64, "resnet_3d"),
    "c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb": ({}, {}, 16, 112, "c3d"),
    "swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb": ({}, {}, 4, 224, "swin"),
    **{
        f"timesformer_{kind}_8xb8-8x32x1-15e_kinetics400-rgb": (
            {"num_transformer_layers": 2, "num_frames": 2, "img_size": 32},
            {"depth": 2},
            2,
            32,
            "timesformer",
        )
        for kind in ("divST", "jointST", "spaceOnly")
    },
    "vit-base-p16_videomae-k400-pre_16x4x1_kinetics-400": (
        {"depth": 2, "num_frames": 4, "img_size": 32},
        {"depth": 2},
        4,
        32,
        "videomae",
    ),
    "mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb": (
        {"spatial_size": 64, "temporal_size": 4},
        {},
        4,
        64,
        "mvit",
    ),
}
FOLLOWS = ("relative_position_index", "backbone.pos_embed", "num_batches_tracked")


def logits_of(theirs, rgb, *, frame_wise):
    """Run backbone and head; a network of frames gets them one by one."""
    if frame_wise:
        frames = rgb.transpose(1, 2).flatten(0, 1)  # (B T, C, H, W)
        return theirs.cls_head(theirs.backbone(frames), rgb.shape[2])
    return theirs.cls_head(theirs.backbone(rgb))


@pytest.mark.slow
@pytest.mark.parametrize("config", CASES)
def test_logits_are_mmactions(config, tmp_path):
    smaller, settings, num_frames, pixels, names = CASES[config]
    theirs = drawn(mmaction(config, backbone=smaller))
    name = parse(f"mmaction:{config}")
    card = replace(source_of(name).card(name), sha256=None)
    ours = configured(
        card.model,
        num_classes=101 if card.class_set == "ucf101" else 400,
        num_frames=num_frames,
        image_size=pixels,
        **{**card.model_settings, **settings},
    ).eval()
    if names is not None:
        arguments = (ours,) if names in ("c3d", "swin", "timesformer", "videomae") else None
        pairs = getattr(peer_names, names)(*(arguments or ("mmaction", ours)))
        listed = peer_names.named_as(pairs, ours.state_dict())
        state = [n for n in theirs.state_dict() if not n.endswith(FOLLOWS) or n in listed]
        assert sorted(n for n in listed if not n.endswith(FOLLOWS[2])) == sorted(
            n for n in state if not n.endswith(FOLLOWS[2])
        )
    path = tmp_path / "net.pth"
    meta = {"cfg": "model = dict()", "epoch": 100, "mmengine_version": "0.10.7", "seed": 1}
    torch.save({"meta": meta, "state_dict": theirs.state_dict()}, path)
    classes = card.classes or [str(i) for i in range(101)]
    card = replace(card, classes=tuple(classes))
    said = load_file(path, card, ours, class_names=classes)
    assert f"{len(classes)} of {len(classes)} classes by name" in said
    assert "unmatched" not in said
    rgb = torch.randn(1, 3, num_frames, pixels, pixels)
    with torch.no_grad():
        expected = logits_of(theirs, rgb, frame_wise=config.startswith("c2d"))
        found = ours(rgb)
    assert expected.std() > 0.05
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(found / scale, expected / scale, atol=1e-4, rtol=0)
