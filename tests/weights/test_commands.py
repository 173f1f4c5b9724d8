"""`model.weights=` in train.py and evaluate.py, in processes of their own, on real videos."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file as load_safetensors
from safetensors.torch import save_file

from tests.barcode import write_barcodes
from tests.models.contract import configured
from videoclf.checkpoints import load_model, model_weights
from videoclf.cli import main as videoclf
from videoclf.config_from_weights import offer_weights_settings
from videoclf.errors import CheckpointError, ConfigError
from videoclf.weights import describing
from videoclf.weights.card import Card, read_card, write_card
from videoclf.weights.loading import load_entry

ROOT = Path(__file__).parents[2]
TINY = {"widths": [4, 4, 8, 8], "blocks": [1, 1, 1, 1]}
CLASSES = ("air drumming", "abseiling", "archery")


def run(script, *arguments, **environment):
    return subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two classes of a folder, three subsets, a video each."""

    root = tmp_path_factory.mktemp("videos")
    for subset in ("train", "val", "test"):
        for name in ("abseiling", "air drumming"):
            (root / subset / name).mkdir(parents=True)
            write_barcodes(root / subset / name / "a.mp4", range(40))
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights, with its card."""
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    model = configured("r3d_18", num_classes=3, seed=4, **TINY)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
    card = Card(
        name=f"file:{path}",
        layout="videoclf",
        model="r3d_18",
        model_settings=TINY,
        classes=CLASSES,
        mean=(0.4, 0.3, 0.2),
        std=(0.2, 0.2, 0.3),
        num_frames=8,
        fps=15.0,
        resize_pixels=(40, 52),
        crop_pixels=32,
        resizing="bilinear",
        views={"num_clips": 2, "num_crops": 1},
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    write_card(card, path.with_suffix(".yaml"))
    return path


def test_a_test_follows_the_card_and_says_what_does_not(videos, weights, tmp_path):
    done = run(
        "evaluate.py",
        f"model.weights=file:{weights}",
        "data=folder",
        f"data.root={videos}",
        "data.num_workers=0",
        "views.num_clips=3",
        "trainer=cpu",
        f"run_dir={tmp_path / 'run'}",
    )
    assert done.returncode == 0, done.stderr
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["model"]["widths"] == [4, 4, 8, 8]
    assert config["model"]["num_classes"] == 3
    assert config["sampler"] | {"num_frames": 8, "stride": None, "fps": 15.0} == config["sampler"]
    assert config["transform"]["mean"] == [0.4, 0.3, 0.2]
    assert config["views"]["size_pixels"] == [40, 52]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["classes"] == list(CLASSES)
    assert results["protocol"]["weights"] == f"file:{weights}"
    assert results["protocol"]["overridden"] == ["views.num_clips=3 (card: 2)"]
    assert "card: 2" in (tmp_path / "run" / "report.html").read_text()
    assert "test/video_top1_3x1" in results["metrics"]


@pytest.fixture(scope="module")
def trained(videos, weights, tmp_path_factory):
    """A run of one epoch that started from the file."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    done = run(
        "train.py",
        "experiment=finetune",
        f"model.weights=file:{weights}",
        "data=folder",
        f"data.root={videos}",
        "data.num_workers=0",
        "data.batch_size=2",
        "data.clips_per_video=1",
        "views.num_clips=1",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "optimizer.learning_rate=1e-9",
        f"run_dir={folder}",
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


def test_a_training_starts_from_weights(trained, weights):
    folder, said = trained
    assert "tensors and 2 of 2 classes by name" in said
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["weights"] == f"file:{weights}"
    assert config["sampler"]["num_frames"] == 8
    assert config["transform"]["mean"] == [0.4, 0.3, 0.2]
    assert config["optimizer"]["head_learning_rate_factor"] == 10
    head = configured("r3d_18", num_classes=3, seed=4, **TINY).classifier.weight
    found = model_weights(folder / "checkpoints" / "best.ckpt")["classifier.weight"]
    torch.testing.assert_close(found, head[[1, 0]], atol=1e-6, rtol=0)


def test_a_checkpoint_becomes_a_plain_file_and_comes_back(trained, tmp_path, capsys):
    checkpoint, target = trained[0] / "checkpoints" / "best.ckpt", tmp_path / "net.safetensors"
    assert videoclf(["weights", "convert", str(checkpoint), str(target)]) == 0
    card = read_card(target.with_suffix(".yaml"))
    assert card.classes == ("abseiling", "air drumming")
    assert (card.num_frames, card.fps, card.crop_pixels) == (8, 15.0, 32)
    ours = configured("r3d_18", num_classes=2, seed=1, **TINY).eval()
    load_entry(f"file:{target}", ours, class_names=card.classes, whole=True)
    theirs = configured("r3d_18", num_classes=2, seed=2, **TINY).eval()
    load_model(checkpoint, theirs)
    clip = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        assert torch.equal(ours(clip), theirs(clip))
    capsys.readouterr()
    assert videoclf(["weights", "verify", f"file:{target}"]) == 0
    assert "as the card says, within" in capsys.readouterr().out


def test_verify_tells_other_weights_and_another_file(trained, tmp_path, capsys):
    checkpoint, target = trained[0] / "checkpoints" / "best.ckpt", tmp_path / "net.safetensors"
    videoclf(["weights", "convert", str(checkpoint), str(target)])
    tensors = load_safetensors(target)
    save_file({**tensors, "stem.conv.weight": 2 * tensors["stem.conv.weight"]}, target)
    describing.describe.cache_clear()
    assert videoclf(["weights", "verify", f"file:{target}"]) == 5
    assert "has the SHA-256" in capsys.readouterr().err
    path = target.with_suffix(".yaml")
    write_card(replace(read_card(path), sha256=None), path)
    assert videoclf(["weights", "verify", f"file:{target}"]) == 5
    assert "logits of the clip of noise are off by" in capsys.readouterr().err
    write_card(replace(read_card(path), classes=("abseiling",), sha256=None), path)
    describing.describe.cache_clear()
    assert videoclf(["weights", "verify", f"file:{target}"]) == 5
    assert "has 2 rows, and its card names 1 classes" in capsys.readouterr().err


def test_list_and_show(capsys):
    assert videoclf(["weights", "list", "torchvision"]) == 0
    assert "torchvision:R3D_18/KINETICS400_V1" in capsys.readouterr().out.splitlines()
    assert videoclf(["weights", "list"]) == 0
    assert "hf:facebook/timesformer-base-finetuned-k400" in capsys.readouterr().out.splitlines()
    assert videoclf(["weights", "list", "torchvison"]) == 2
    assert "did you mean 'torchvision'?" in capsys.readouterr().err
    assert videoclf(["weights", "show", "torchvision:R3D_18/KINETICS400_V1"]) == 0
    card = yaml.safe_load(capsys.readouterr().out)
    assert card["accuracy"] == {"top1": 0.632, "top5": 0.83479}
    assert card["classes"] == "400 names; --classes shows them"
    assert (card["fps"], card["num_frames"], card["resize_pixels"]) == (15.0, 16, [128, 171])


def test_without_the_file_one_sentence_says_where_from_and_where_to(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert describing.main("torchvision:R3D_18/KINETICS400_V1") == 5
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "fetch https://download.pytorch.org/models/r3d_18-b3b3357e.pth elsewhere" in sentence
    assert f"put it at {tmp_path}/hub/checkpoints/r3d_18-b3b3357e.pth" in sentence


def test_the_process_that_is_asked_answers_with_the_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    describing.describe.cache_clear()
    with pytest.raises(CheckpointError, match=r"fetch https://\S+/r3d_18-b3b3357e.pth elsewhere"):
        describing.describe("torchvision:R3D_18/KINETICS400_V1")


def test_without_the_hub_one_sentence_says_what_to_run(tmp_path):
    name = "hf:facebook/timesformer-base-finetuned-k400"
    command = [sys.executable, "-m", "videoclf.weights.describing", name]
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 5
    (sentence,) = done.stderr.splitlines()
    assert (
        "run `hf download facebook/timesformer-base-finetuned-k400`, and copy models--" in sentence
    )
    assert sentence.endswith(f"of its cache to {tmp_path}/hub")


def test_a_wrong_entry_is_said_by_the_process_that_was_asked(capsys):
    assert describing.main("torchvision:R3D_18/K400") == 2
    assert "did you mean 'torchvision:R3D_18/KINETICS400_V1'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (["weights=torchvison:x", "data=folder"], ConfigError, "did you mean 'torchvision'?"),
        (["weights=torchvision", "data=folder"], ConfigError, "schemes: torchvision, timm, hf"),
        (["weights=file:no.pth", "data=folder"], CheckpointError, "no weights at no.pth"),
        (["weights=a:b,c:d"], ConfigError, "is several; give one"),
    ],
)
def test_a_wrong_name_is_said(arguments, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        offer_weights_settings(["evaluate.py", *arguments])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["checkpoint=a.ckpt", "data=folder"], "evaluate one of them"),
        ([], "brings no videos; add data=<name>"),
    ],
)
def test_a_test_wants_videos_and_one_network(arguments, sentence, weights):
    with pytest.raises(ConfigError, match=sentence):
        offer_weights_settings(["evaluate.py", f"weights=file:{weights}", *arguments])


def test_what_is_typed_wins(weights):
    name = f"file:{weights}"

    def offered(*given):
        return offer_weights_settings(["train.py", f"weights={name}", *given])

    assert offered("seed=1")[-2:] == [f'weights="{name}"', "seed=1"]
    plain = offered()
    assert "model=r3d_18" in plain
    assert "model.widths=[4, 4, 8, 8]" in plain
    assert "sampler.num_frames=8" in plain
    other = offered("model=s3d", "sampler=segments")
    assert not any(text.startswith(("model.", "sampler.")) for text in other)
    assert "model=r3d_18" not in other
    same = offered("model=r3d_18", "sampler.num_frames=4")
    assert "model.widths=[4, 4, 8, 8]" in same
    assert same.index("sampler.num_frames=8") < same.index("sampler.num_frames=4")


def test_no_torch_is_imported_for_the_card_of_a_file(weights):
    code = (
        "import sys; from videoclf.weights.describing import describe; "
        f"describe('file:{weights}'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
