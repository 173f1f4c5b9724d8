"""MMAction2's and PyTorchVideo's names of CSN and R(2+1)D become ours, and the right ones.

Read off mmaction/models/backbones/resnet3d_csn.py of MMAction2 1.2.0; PyTorchVideo's own networks
are in test_pytorchvideo_parity.py.
"""

import pytest
import torch

from tests.models.contract import configured
from tests.weights import peer_names
from videoclf.weights.key_maps import layouts_of

TINY = {"stem_width": 4, "depths": [2, 1, 1, 1]}
#: Layers of a block here -> there.
SHARED = {
    "mmaction": {
        "narrow.0": "conv1.conv",
        "narrow.1": "conv1.bn",
        "widen": "conv3.conv",
        "last_norm": "conv3.bn",
        "shortcut.0": "downsample.conv",
        "shortcut.1": "downsample.bn",
    },
    "pytorchvideo": {
        "narrow.0": "branch2.conv_a",
        "narrow.1": "branch2.norm_a",
        "middle_norm": "branch2.norm_b",
        "widen": "branch2.conv_c",
        "last_norm": "branch2.norm_c",
        "shortcut.0": "branch1_conv",
        "shortcut.1": "branch1_norm",
    },
}
MIDDLE = {
    ("mmaction", "interaction_reduced"): {
        "factored.0": "conv2.0.conv",
        "middle_norm": "conv2.0.bn",
    },
    ("mmaction", "interaction_preserved"): {
        "factored.0": "conv2.0.conv",
        "factored.1": "conv2.0.bn",
        "factored.2": "conv2.1.conv",
        "middle_norm": "conv2.1.bn",
    },
    ("pytorchvideo", "interaction_reduced"): {"factored.0": "branch2.conv_b"},
    ("pytorchvideo", "space_time"): {
        "factored.0": "branch2.conv_b.conv_t",
        "factored.1": "branch2.conv_b.norm",
        "factored.3": "branch2.conv_b.conv_xy",
    },
}
ENDS = {
    "mmaction": {
        "stem.0": "backbone.conv1.conv",
        "stem.1": "backbone.conv1.bn",
        "classifier": "cls_head.fc_cls",
    },
    "pytorchvideo": {
        "stem.0": "blocks.0.conv",
        "stem.1": "blocks.0.norm",
        "classifier": "blocks.5.proj",
    },
}


@pytest.mark.parametrize(("layout", "factor"), MIDDLE)
def test_names(layout, factor):
    model = configured("csn_r101", **TINY, factor=factor)
    inside = {**SHARED[layout], **MIDDLE[layout, factor]}
    pairs = [(there, here) for here, there in ENDS[layout].items()]
    for i, depth in enumerate(TINY["depths"]):
        for b in range(depth):
            block = {
                "mmaction": f"backbone.layer{i + 1}.{b}",
                "pytorchvideo": f"blocks.{i + 1}.res_blocks.{b}",
            }[layout]
            pairs += [(f"{block}.{there}", f"res{i + 2}.{b}.{h}") for h, there in inside.items()]
    own = peer_names.drawn(model)
    found = layouts_of(model)[layout](peer_names.named_as(pairs, own), model)
    assert sorted(found) == sorted(own)
    assert all(torch.equal(found[name], value) for name, value in own.items())
