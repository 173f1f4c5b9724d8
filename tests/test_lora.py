"""Low-rank adaptation: what learns, what is saved, and who reads it without peft."""

import json
import sys

import pytest
import torch
from torch import nn

from tests.conftest import run_script, train_tiny
from tests.models.contract import configured
from videoclf.build import build
from videoclf.checkpoints import load, model_weights
from videoclf.errors import ConfigError
from videoclf.init_from import start_from
from videoclf.lora import LowRankAdaptation, has_adapters, merge_adapters

SETTINGS = {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": ["qkv", "proj"]}
MODEL = ("model=timesformer_small", "model.depth=2", "model.width=48")


def adaptation(**changes):
    return LowRankAdaptation(**{**SETTINGS, **changes})


@pytest.fixture
def peft():
    return pytest.importorskip("peft", reason="needs peft: pip install -e '.[lora]'")


def adapted(**changes):
    """A model with matrices beside its attention, B away from 0 as after training."""
    model = configured("timesformer_small")
    callbacks = adaptation(**changes).apply(model)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    return model.eval(), callbacks


def test_nothing_changes_at_the_start_and_only_the_matrices_and_the_head_learn(peft):
    model = configured("timesformer_small").eval()
    rgb = torch.randn(2, 3, 8, 32, 32)
    expected = model(rgb)
    assert adaptation().apply(model) == []
    torch.testing.assert_close(model(rgb), expected)
    model.train()(rgb).square().sum().backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None}
    assert learning == {n for n in dict(model.named_parameters()) if "lora_" in n} | {
        "classifier.weight",
        "classifier.bias",
    }
    # 4 blocks x 2 attentions x (qkv and proj): A and B of rank 4 around a width of 96
    sizes = {n: p.numel() for n, p in model.named_parameters() if "lora_" in n}
    assert sum(sizes.values()) == 4 * 2 * 4 * ((96 + 288) + (96 + 96))
    assert model.layers() == tuple(model.blocks)


def test_merged_weights_are_those_of_a_plain_model(peft):
    model, _ = adapted()
    plain = configured("timesformer_small", seed=1).eval()
    merged = merge_adapters(model.state_dict(), alpha=8)
    assert has_adapters(model.state_dict())
    assert not has_adapters(merged)
    plain.load_state_dict(merged)
    rgb = torch.randn(2, 3, 8, 32, 32)
    torch.testing.assert_close(plain(rgb), model(rgb))
    assert not torch.allclose(configured("timesformer_small").eval()(rgb), model(rgb))


def test_batch_norms_stay_as_they_are(peft):
    model = configured("x3d_xs", widths=[4, 8, 8, 8], depths=[1, 1, 1, 1])
    (callback,) = adaptation(targets=["head.0"]).apply(model)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    model.train()
    callback.on_train_epoch_start(None, None)
    assert norms
    assert not any(norm.training for norm in norms)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rank", 0, "lora.rank=0 must be at least 1"),
        ("alpha", 0, "lora.alpha=0 must be above 0"),
        ("dropout", 1, r"lora.dropout=1 must be in \[0, 1\)"),
        ("targets", [], r"lora.targets=\[\] names no layer"),
    ],
)
def test_wrong_values(key, value, message):
    with pytest.raises(ConfigError, match=message):
        build({"_target_": "videoclf.lora.LowRankAdaptation", **SETTINGS, key: value}, name="lora")


@pytest.mark.parametrize("target", ["query", "classifier", "attn"])
def test_targets_are_linear_layers_below_the_head(peft, target):
    message = (
        rf"lora.targets=\['{target}'\]: TimeSformer has no linear layers '{target}' below its "
        "class head; its linear layers are fc1, fc2, proj, qkv, temporal_fc"
    )
    with pytest.raises(ConfigError, match=message):
        adaptation(targets=[target]).apply(configured("timesformer_small"))


def test_without_peft_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"needs peft: pip install -e '\.\[lora\]'"):
        adaptation().apply(configured("timesformer_small"))
    model = configured("timesformer_small")
    assert adaptation(rank=None).apply(model) == []
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_run_is_saved_evaluated_and_started_from(peft, tmp_path):
    run = tmp_path / "run"
    finished = train_tiny(run, *MODEL, "lora.rank=2", "optimizer.learning_rate=0.01")
    assert finished.returncode == 0, finished.stderr
    best = run / "checkpoints" / "best.ckpt"
    saved = {name.removeprefix("model."): v for name, v in load(best)["state_dict"].items()}
    assert has_adapters(saved)
    assert any(value.any() for name, value in saved.items() if "lora_B" in name)
    again = run_script(
        "evaluate.py", f"checkpoint={best}", "run_dir=again", "views.num_clips=2", cwd=tmp_path
    )
    assert again.returncode == 0, again.stderr
    first, second = (
        json.loads((folder / "results.json").read_text())["metrics"]
        for folder in (run, tmp_path / "again")
    )
    assert first == pytest.approx(second)
    settings = {"num_classes": 8, "num_frames": 4, "width": 48, "depth": 2}
    model = configured("timesformer_small", **settings)
    start_from(best, model, class_names=[str(k) for k in range(8)], allow_unmatched=False)
    weights = model_weights(best)
    assert torch.equal(model.blocks[1].attn.qkv.weight, weights["blocks.1.attn.qkv.weight"])
    assert weights.keys() == model.state_dict().keys()
