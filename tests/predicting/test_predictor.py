import io
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import videoclf
from tests.cli.test_explain import with_model
from videoclf import checkpoint_file
from videoclf.build import build
from videoclf.errors import CheckpointError, ConfigError, UnreadableVideoError
from videoclf.lora import LowRankAdaptation
from videoclf.predicting.listing import unlabelled
from videoclf.predicting.network import build_network
from videoclf.reports.predictions import read_predictions


@pytest.fixture(scope="module")
def model(trained_run):
    return videoclf.load(trained_run / "checkpoints" / "best.ckpt")


@pytest.fixture(scope="module")
def videos(trained_run):
    config = yaml.safe_load((trained_run / "config.yaml").read_text(encoding="utf-8"))
    return Path(config["data"]["root"])


def test_it_says_what_the_run_s_own_test_said(model, trained_run, videos):
    stored = read_predictions(trained_run / "predictions.parquet")
    assert (model.views.num_clips, model.class_names) == (2, stored.class_names)
    for row in (0, 7):
        found = model.predict(videos / stored.paths[row])
        np.testing.assert_allclose(found.probabilities, stored.probabilities[row], atol=1e-5)
        assert found.label == stored.class_names[int(stored.probabilities[row].argmax())]
        assert found.top(3)[0] == (found.label, found.probability)
        assert found.label in repr(found)


def test_many_at_once_in_order_with_what_is_unreadable(model, videos):
    paths = sorted(str(path) for path in videos.glob("test/*/*.mp4"))[:3]
    manifest = unlabelled([paths[0], "none.mp4", *paths[1:]], model.class_names)
    found = list(model.predict_rows(manifest, Path(), np.arange(4)))
    assert [each.path for each in found] == [paths[0], "none.mp4", *paths[1:]]
    assert found[1].reason == "does not exist"


def test_views_are_overridden(trained_run):
    checkpoint = trained_run / "checkpoints" / "best.ckpt"
    assert videoclf.load(checkpoint, "views.num_clips=5", device="cpu").views.num_clips == 5
    preset = videoclf.load(checkpoint, "views=tsn", "views.num_crops=1").views
    assert (preset.num_clips, preset.num_crops) == (25, 1)
    with pytest.raises(ConfigError, match="there is no config key 'views.num_clip'"):
        videoclf.load(checkpoint, "views.num_clip=5")


@pytest.mark.parametrize("head", ["LinearProbe", "AttentiveProbe"])
def test_a_probe_is_a_network_too(trained_run, tmp_path, videos, head):
    path = with_model(trained_run, tmp_path / "p.ckpt", "timesformer_small", head=head)
    found = videoclf.load(path).predict(next(videos.glob("test/*/*.mp4")))
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_low_rank_adaptation_is_added(trained_run, tmp_path):
    pytest.importorskip("peft", reason="needs peft: pip install -e '.[lora]'")
    plain = with_model(trained_run, tmp_path / "plain.ckpt", "timesformer_small", depth=2)
    description = checkpoint_file.describe(plain)
    model = build(description["config"]["model"], name="model")
    lora = {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": ["qkv", "proj"]}
    LowRankAdaptation(**lora).apply(model)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    description["config"]["lora"] = lora
    archive = io.BytesIO()
    state = {f"model.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state}, archive)
    checkpoint_file.write(archive, tmp_path / "adapted.ckpt", description)
    rgb = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        expected = model.eval()(rgb)
        found = videoclf.load(tmp_path / "adapted.ckpt").model(rgb)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_weights_that_are_replaced_are_not_fetched(trained_run, tmp_path, monkeypatch):
    changes = {"backbone": "test_resnet", "pretrained": False}
    path = with_model(trained_run, tmp_path / "p.ckpt", "late_fusion_pool", **changes)
    settings = dict(videoclf.load(path).settings)
    settings["model"] = {**settings["model"], "pretrained": True}
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert sum(p.numel() for p in build_network(settings, "cpu").parameters())


def test_mistakes(model, trained_run, tmp_path):
    with pytest.raises(UnreadableVideoError, match="none.mp4: does not exist"):
        model.predict(tmp_path / "none.mp4")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        videoclf.load(tmp_path / "none.ckpt")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="--device=cuda cannot be used"):
            videoclf.load(trained_run / "checkpoints" / "best.ckpt", device="cuda")
