import pytest
import torch
import yaml
from torch import nn

from tests.models.contract import CONF, configured, randomize_norms
from videoclf.models.blocks.recomputation import run_block

#: A small form of each network that can recompute its blocks.
SMALL = {
    "c3d_small": {"widths": [4, 4, 8, 8, 8], "hidden": [16], "num_frames": 16},
    "i3d": {"width_multiplier": 0.1},
    "mc3_18": {"widths": [4, 4, 8, 8]},
    "r2plus1d_18": {"widths": [4, 4, 8, 8]},
    "r3d_18": {"widths": [4, 4, 8, 8]},
    "csn_r101": {"stem_width": 4, "depths": [1, 2, 1, 1]},
    "resnet_3d_small": {"stem_width": 4, "non_local_places": [["res3", 0]]},
    "s3d": {},
    "slowfast_small": {"width": 4, "num_frames": 8},
    "x3d_xs": {"widths": [4, 8, 8, 8], "depths": [1, 2, 1, 1], "stem_width": 4, "head_width": 16},
}


def test_every_convolutional_network_with_the_option_is_tried():
    files = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in CONF.glob("*.yaml")}
    having = {name: node for name, node in files.items() if "checkpoint_activations" in node}
    convolutional = ("c3d", "i3d", "resnet", "s3d", "slowfast", "x3d")
    expected = {
        node["_target_"]
        for node in having.values()
        if any(word in node["_target_"].split(".")[-2] for word in convolutional)
    }
    assert expected == {files[name]["_target_"] for name in SMALL}


@pytest.mark.parametrize("name", SMALL)
def test_gradients_and_statistics_are_the_same(name):
    settings = {"dropout": 0.0, **SMALL[name]}
    plain, lean = (
        randomize_norms(configured(name, checkpoint_activations=lean, image_size=32, **settings))
        .double()
        .train()
        for lean in (False, True)
    )
    rgb = torch.randn(2, 3, settings.get("num_frames", 8), 32, 32, dtype=torch.float64)
    calls = {plain: 0, lean: 0}
    for model in calls:
        for layer in model.modules():
            if isinstance(layer, nn.Conv3d):
                layer.register_forward_pre_hook(lambda *_, m=model: calls.update({m: calls[m] + 1}))
        model(rgb).square().sum().backward()
    assert calls[lean] > 1.5 * calls[plain]
    for (key, value), other in zip(plain.named_parameters(), lean.parameters(), strict=True):
        torch.testing.assert_close(other.grad, value.grad, msg=key, atol=1e-6, rtol=1e-6)
    for (key, value), other in zip(plain.named_buffers(), lean.buffers(), strict=True):
        torch.testing.assert_close(other, value, msg=key)


def test_no_graph_no_recomputation():
    block = nn.BatchNorm3d(2)
    with torch.no_grad():
        run_block(block, torch.randn(2, 2, 1, 2, 2), checkpointed=True)
    assert block.num_batches_tracked == 1
