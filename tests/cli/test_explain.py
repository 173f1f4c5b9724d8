import io
import json
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from tests.conftest import PROJECT
from videoclf import checkpoint_file, cli
from videoclf.build import build
from videoclf.cli.explain import stems
from videoclf.config import CONF

CHECKPOINT = Path("checkpoints", "best.ckpt")


def explain(*words):
    return cli.main(["explain", *map(str, words)])


@pytest.fixture(scope="module")
def videos(trained_run):
    config = yaml.safe_load((trained_run / "config.yaml").read_text(encoding="utf-8"))
    return sorted(Path(config["data"]["root"]).glob("test/*/*.mp4"))


def with_model(trained_run, path, name, *, head=None, **changes):
    """Write the run's checkpoint with another model, as it starts."""
    description = checkpoint_file.describe(trained_run / CHECKPOINT)
    node = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text(encoding="utf-8"))
    values = {"num_classes": 8, "num_frames": 4, "image_size": 32}
    node |= {key: value for key, value in values.items() if key in node}
    description["config"]["model"] = node | changes
    model = build(description["config"]["model"], name="model")
    if head is not None:
        probe = {"_target_": f"videoclf.models.probes.{head}", "num_classes": 8}
        probe |= {"num_heads": 4, "mlp_ratio": 2.0} if head == "AttentiveProbe" else {}
        description["config"]["head"] = {**probe, "feature_cache": None}
        model = build(description["config"]["head"], name="head", backbone=model)
    archive = io.BytesIO()
    state = {f"model.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state}, archive)
    checkpoint_file.write(archive, path, description)
    return path


def test_grad_cam_of_two_videos(trained_run, videos, tmp_path, capsys):
    code = explain(trained_run / CHECKPOINT, videos[0], videos[5], "-o", tmp_path, "--clips", 2)
    assert code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line, video in zip(lines, (videos[0], videos[5]), strict=True):
        picture = Path(line.partition(":")[0])
        with Image.open(picture) as opened:
            assert opened.format == "PNG"
        found = json.loads(picture.with_suffix(".json").read_text(encoding="utf-8"))
        assert found["video"] == str(video)
        assert found["method"] == "grad-cam"
        assert found["layer"] in line
        assert f"{found['class']} {found['probability']:.1%}" in line
        assert found["probability"] == max(found["best"].values())
        assert [len(clip["seconds"]) for clip in found["clips"]] == [4, 4]
        assert found["clips"][1]["seconds"][-1] > found["clips"][0]["seconds"][-1]


def test_rollout_of_a_transformer(trained_run, videos, tmp_path, capsys):
    checkpoint = with_model(trained_run, tmp_path / "a=b.ckpt", "timesformer_small", depth=2)
    assert explain(checkpoint, videos[0], "--class", "up", "-o", tmp_path) == 0
    assert "up " in capsys.readouterr().out
    found = json.loads((tmp_path / f"{videos[0].stem}.json").read_text(encoding="utf-8"))
    assert (found["method"], found["layer"], found["class"]) == ("rollout", None, "up")
    (clip,) = found["clips"]
    assert sum(clip["shares"]) == pytest.approx(1, abs=1e-4)
    assert torch.tensor(clip["map"]).shape == (4, 4, 4)


def test_windowed_attention_falls_back_to_grad_cam(trained_run, videos, tmp_path, capsys):
    checkpoint = with_model(trained_run, tmp_path / "swin.ckpt", "swin3d_small")
    assert explain(checkpoint, videos[0], "-o", tmp_path) == 0
    assert "(grad-cam, stages." in capsys.readouterr().out
    assert explain(checkpoint, videos[0], "-o", tmp_path, "--method", "rollout") == 2
    message = capsys.readouterr().err
    assert "attention rollout is not defined for VideoSwin" in message
    assert message.strip().endswith("take --method=grad-cam")


def test_a_network_over_flow(trained_run, videos, tmp_path, capsys):
    changes = {"backbone": "test_resnet", "pretrained": False}
    checkpoint = with_model(trained_run, tmp_path / "flow.ckpt", "temporal_stream", **changes)
    assert explain(checkpoint, videos[0], "data.modalities=[flow]", "-o", tmp_path) == 0
    assert "(grad-cam, cnn." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["timesformer_small", "swin3d_small"])
def test_a_linear_probe(trained_run, videos, tmp_path, capsys, name):
    checkpoint = with_model(trained_run, tmp_path / "probe.ckpt", name, head="LinearProbe")
    assert explain(checkpoint, videos[0], "-o", tmp_path) == 0
    method = "(rollout)" if name == "timesformer_small" else "(grad-cam, stages."
    assert method in capsys.readouterr().out


def test_another_probe_is_refused_by_name(trained_run, videos, tmp_path, capsys):
    name = "timesformer_small"
    checkpoint = with_model(trained_run, tmp_path / "probe.ckpt", name, head="AttentiveProbe")
    assert explain(checkpoint, videos[0], "-o", tmp_path) == 2
    assert "holds an AttentiveProbe, which is not explained" in capsys.readouterr().err


def test_the_same_name_twice_is_told_apart():
    assert stems([Path("a/1.mp4"), Path("b/2.mp4")]) == ["1", "2"]
    assert stems([Path("a/1.mp4"), Path("b/1.mp4")]) == ["a_1.mp4_0", "b_1.mp4_1"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["VIDEO", "--method", "lime"], 2, "--method=lime is none of auto, rollout, grad-cam"),
        (["VIDEO", "--class", "rihgt"], 2, "--class=rihgt is none of the checkpoint's 8 classes; "),
        (["VIDEO", "--layer", "x"], 2, "the model has no layer 'x'; some are "),
        (["VIDEO", "--layer", "x", "--method", "rollout"], 2, "--layer=x is for Grad-CAM"),
        (["VIDEO", "sampler.strid=2"], 2, "strid"),
        (["sampler.stride=2"], 2, "no video is named; give one or more files"),
        (["missing.mp4"], 3, "cannot read video missing.mp4: it does not exist"),
        ([str(PROJECT / "README.md")], 3, "cannot read video"),
    ],
)
def test_mistakes_are_said(trained_run, videos, tmp_path, capsys, words, code, message):
    words = [videos[0] if word == "VIDEO" else word for word in words]
    assert explain(trained_run / CHECKPOINT, *words, "-o", tmp_path / "out") == code
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert not (tmp_path / "out").exists()


def test_a_missing_checkpoint_is_said(videos, capsys):
    assert explain("none.ckpt", videos[0]) == 5
    assert "no checkpoint at none.ckpt" in capsys.readouterr().err
