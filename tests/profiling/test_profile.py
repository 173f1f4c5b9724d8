"""Counts, memory and every model of conf/model."""

import pytest
import torch
import yaml
from torch import nn

from tests.models.contract import CONF, configured
from videoclf.build import build
from videoclf.errors import ConfigError
from videoclf.profiling.profile import ELSEWHERE, profile
from videoclf.profiling.published import all_published, published
from videoclf.profiling.wording import own_gmacs, own_parameters, totals


def make_optimizer(model, steps):
    node = yaml.safe_load((CONF.parent / "optimizer" / "adamw.yaml").read_text(encoding="utf-8"))
    return build(node, name="optimizer")(model, steps)


def profiled(name, *, num_classes=5, num_frames=8, crop_pixels=32, changes=(), **options):
    def make():
        return configured(
            name,
            num_classes=num_classes,
            num_frames=num_frames,
            image_size=crop_pixels,
            **dict(changes),
        )

    sizes = {"num_classes": num_classes, "num_frames": num_frames, "crop_pixels": crop_pixels}
    return profile(make, make_optimizer, name=name, **sizes, **options)


@pytest.mark.parametrize("name", ["toy_late_fusion", "toy_early_fusion", "toy_cnn_3d"])
def test_the_toy_counts(name):
    one = profiled(name, num_frames=20, crop_pixels=64)
    (row,) = one.published
    assert own_parameters(one, row) == int(row.parameters)
    assert round(own_gmacs(one, row), 4) == float(row.gmacs)


def test_r3d_18_as_published():
    one = profiled("r3d_18", num_classes=400, num_frames=16, crop_pixels=112)
    assert (one.parameters, round(one.macs / 1e9, 3)) == (33_371_472, 40.697)
    assert sum(row.parameters for row in one.rows) == one.parameters
    assert sum(row.macs for row in one.rows) == one.macs
    text = dict(totals(one))
    assert "(equal)" in text["published, torchvision"]
    assert "ours -0.0%" in text["published, torchvision"]
    assert one.as_json()["flops"] == 2 * one.macs


def every_model():
    """All configs; those after the first of a file, and the largest, are slow."""
    files, models = set(), []
    for path in sorted(CONF.glob("*.yaml")):
        file = yaml.safe_load(path.read_text(encoding="utf-8"))["_target_"]
        large = path.stem in ("csn_r101", "gru_rcn", "i3d", "swin3d_b", "timesformer_b", "x3d_l")
        smaller_follows = path.stem in ("slowfast_16x8_r101", "vjepa2_l")
        marks = [pytest.mark.slow] if file in files or large or smaller_follows else []
        if not smaller_follows:
            files.add(file)
        models.append(pytest.param(path.stem, marks=marks))
    return models


@pytest.mark.parametrize("name", every_model())
def test_every_model(name):
    frames = 32 if "slowfast_4x16" in name else 16
    pixels = 112 if name in ("c3d", "c3d_small") else 64
    if name in ("c3d", "karpathy_early", "karpathy_late", "karpathy_slow"):
        changes = {"hidden": [8, 8]}  # their layers are large, and tell nothing more
    else:
        changes = {}
    one = profiled(name, num_frames=frames, crop_pixels=pixels, changes=changes, num_clips=2)
    assert len(one.rows) >= 4
    assert sum(row.parameters for row in one.rows) == one.parameters
    assert sum(row.macs for row in one.rows) == one.macs
    seen = [row.field for row in one.rows if row.field is not None]
    assert all(1 <= field.num_frames <= frames for field in seen)
    memory = one.memory
    assert memory.peak >= memory.weights + memory.gradients + memory.optimizer
    assert memory.activations > 0
    elsewhere = [row for row in one.rows if row.name == ELSEWHERE]
    assert sum(row.macs for row in elsewhere) <= 0.02 * one.macs


def test_recurrent_and_attention_products_count():
    one = profiled("cnn_rnn")
    (rnn,) = [row for row in one.rows if row.name == "sequence.rnn"]
    inputs, hidden, frames = 32, 128, 8  # a map of 1 x 1
    assert rnn.macs == frames * 4 * hidden * (inputs + hidden)
    one = profiled("resnet_3d_small", changes={"non_local_places": [["res2", 0]]}, depth=2)
    (block,) = [row for row in one.rows if row.name == "res2.non_local.0"]
    positions, channels = 8 * 8 * 8, 64
    projections = positions * channels * 32 * 2 + positions // 4 * channels * 32 * 2
    pairs = 2 * positions * (positions // 4) * 32
    assert block.macs == projections + pairs


def test_memory_of_a_known_network():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(3, 8, 1, bias=False)
            self.classifier = nn.Linear(8, 5)

        def forward(self, rgb):
            return self.classifier(self.conv(rgb).mean(dim=(2, 3, 4)))

    one = profile(
        Net, make_optimizer, name="net", num_classes=5, num_frames=4, crop_pixels=8, num_clips=2
    )
    weights = 4 * (3 * 8 + 8 * 5 + 5)
    assert (one.memory.weights, one.memory.gradients) == (weights, weights)
    assert one.memory.optimizer == pytest.approx(2 * weights, abs=64)  # AdamW, and its step counts
    clip_bytes, map_bytes = 4 * 2 * 3 * 4 * 64, 4 * 2 * 8 * 4 * 64
    # conv's output is gone once averaged, its gradient comes in the backward pass
    assert one.memory.activations < map_bytes
    assert one.memory.peak >= weights * 3 + clip_bytes + map_bytes


def test_checkpointing_saves_activations():
    plain = profiled("x3d_m", num_frames=4)
    saved = profiled("x3d_m", num_frames=4, changes={"checkpoint_activations": True})
    assert saved.memory.activations < 0.5 * plain.memory.activations


def test_step_time_is_measured():
    one = profiled("slow_fusion", num_clips=2, device="cpu")
    assert one.step.device == "CPU"
    assert 0 < one.step.forward_seconds < one.step.seconds < 60
    assert one.step.num_clips == 2


def test_clips_that_the_model_refuses():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(3, 8, 1)

        def forward(self, rgb):
            raise ValueError("the model needs 99 frames")

    with pytest.raises(ConfigError, match="model=late: the model needs 99 frames"):
        profile(Late, make_optimizer, name="late", num_classes=5, num_frames=4, crop_pixels=8)


def test_a_modality_that_clips_do_not_have():
    class Listener(nn.Module):
        def forward(self, smell):
            return smell

    with pytest.raises(ConfigError, match="Listener.forward takes 'smell'"):
        profile(Listener, make_optimizer, name="x", num_classes=5, num_frames=4, crop_pixels=8)


def test_published_rows_name_configs_that_exist():
    assert len(all_published()) > 70
    for row in all_published():
        assert not row.model or (CONF / f"{row.model}.yaml").is_file(), row
    assert published("x3d_l")[0].parameters == "6153384"
    assert torch.get_default_dtype() == torch.float32
