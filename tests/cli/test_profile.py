"""`videoclf profile` shows a model without any data, and says what is wrong with a setting."""

import json

import pytest

from videoclf.cli import main
from videoclf.cli.profile import one_by_one
from videoclf.errors import ConfigError


def test_three_toys_side_by_side(capsys, tmp_path):
    words = ["profile", "model=toy_late_fusion,toy_early_fusion,toy_cnn_3d", "--published"]
    words += ["--json", str(tmp_path / "p.json"), "--picture", str(tmp_path / "p.svg")]
    code = main([*words, "--clips", "2"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert "12x20x16x16   1x6x6" in captured.out
    assert "2,952 parameters without the classifier (equal)" in captured.out
    lines = captured.out.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == [
        "model",
        "toy_late_fusion",
        "toy_early_fusion",
        "toy_cnn_3d",
    ]
    found = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    late, early, slow = found["profiles"]
    assert late["rows"][0]["field"]["size"] == [1, 3, 3]
    assert (early["num_frames"], early["crop_pixels"]) == (20, 64)
    assert slow["flops"] == 2 * slow["macs"]
    assert slow["step"]["seconds"] > 0
    assert (tmp_path / "p.svg").read_text(encoding="utf-8").count("toy_") == 6


def test_settings_reach_the_model(capsys, tmp_path):
    words = ["profile", "model=slow_fusion", "sampler.num_frames=4", "transform.crop_pixels=48"]
    words += ["model.temporal_strides=[1,1,1,1]", "optimizer=sgd", "model.num_classes=7"]
    assert main([*words, "--no-time", "--json", str(tmp_path / "p.json")]) == 0
    assert "4 frames of 48 x 48, 7 classes" in capsys.readouterr().out
    (one,) = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))["profiles"]
    assert one["step"] is None
    assert one["memory"]["optimizer"] == one["memory"]["gradients"]  # a momentum a parameter
    assert [row["output"][1] for row in one["rows"][:4]] == [4, 4, 4, 4]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=r3d_19"], "model=r3d_19: conf/model has no such option; did you mean 'r3d_18'?"),
        (["model=r3d_18", "sampler.num_frames=2"], "raise sampler.num_frames to 8"),
        (["model=r3d_18", "model.width=3"], "there is no config key 'model.width'"),
        (["sampler.num_frames=2"], "name a model, such as model=r3d_18"),
        (["model=cnn_rnn", "--published"], "nothing is published of model=cnn_rnn"),
        (["model=slow_fusion", "--picture", "x.png"], "name a file ending in .svg"),
    ],
)
def test_mistakes(capsys, words, sentence):
    assert main(["profile", *words, "--no-time"]) == 2
    assert sentence in capsys.readouterr().err


def test_several_models_share_the_other_settings():
    assert one_by_one(["model=a,b", "x=1"]) == [
        ("a", ["model=a", "x=1"]),
        ("b", ["model=b", "x=1"]),
    ]
    with pytest.raises(ConfigError, match="name a model"):
        one_by_one([])
