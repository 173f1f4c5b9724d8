"""`keep_source_head=true`: one network that answers in its source's classes and in new ones."""

import re
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

import videoclf
from tests.barcode import write_barcodes
from tests.conftest import TINY, TINY_MODEL, run_script
from tests.models.contract import configured, randomize_norms
from tests.test_init_from import saved
from videoclf.checkpoint_file import describe
from videoclf.checkpoints import load_model, model_weights
from videoclf.config_from_weights import with_source_classes
from videoclf.errors import CheckpointError, ConfigError
from videoclf.freezing import freeze_part
from videoclf.init_from import start_from
from videoclf.lora import LowRankAdaptation
from videoclf.models.blocks.source_head import keep_source_head, source_logits, speak_as_source
from videoclf.optimizers import parameter_groups
from videoclf.reports.results import Results
from videoclf.weights.card import Card
from videoclf.weights.converting import write_weights
from videoclf.weights.loading import load_entry

NEW = ("left", "lunge")  # the data's classes; moving_shapes has `left`, too


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of two classes, four training videos each."""
    root = tmp_path_factory.mktemp("videos")
    for subset, count in (("train", 4), ("val", 1), ("test", 1)):
        for name in NEW:
            (root / subset / name).mkdir(parents=True)
            for number in range(count):
                path = root / subset / name / f"{number}.mp4"
                write_barcodes(path, range(8 * number, 8 * number + 8))
    return root


def fine_tune(folder, videos, *settings):
    data = [s for s in TINY if not re.match(r"data\.(num_(train|val|test|frames)|size)", s)]
    return run_script(
        "train.py",
        "data=folder",
        f"data.root={videos}",
        *data,
        *TINY_MODEL,
        "data.batch_size=4",
        "trainer=cpu",
        "recipe=default",
        f"run_dir={folder}",
        *settings,
        cwd=folder.parent,
    )


@pytest.fixture(scope="module")
def tuned(trained_run, videos, tmp_path_factory):
    """A run that learnt the folder's classes on the frozen backbone of a run on moving_shapes."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    source = trained_run / "checkpoints" / "best.ckpt"
    settings = (f"init_from={source}", "keep_source_head=true", "freeze=backbone")
    done = fine_tune(folder, videos, *settings)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 classes by name; its class head of 8 classes is kept, frozen" in done.stderr
    return folder


def evaluated(checkpoint, folder, *settings):
    done = run_script(
        "evaluate.py", f"checkpoint={checkpoint}", f"run_dir={folder}", *settings, cwd=folder.parent
    )
    assert done.returncode == 0, done.stderr
    return pq.read_table(folder / "predictions.parquet"), Results.load(folder / "results.json")


def test_the_checkpoint_holds_both_heads_and_both_lists(tuned, trained_run):
    source = trained_run / "checkpoints" / "best.ckpt"
    described = describe(tuned / "checkpoints" / "best.ckpt")
    assert described["classes"] == list(NEW)
    assert described["source_classes"] == describe(source)["classes"]
    before, after = model_weights(source), model_weights(tuned / "checkpoints" / "best.ckpt")
    for part in ("weight", "bias"):
        assert torch.equal(after[f"source_classifier.{part}"], before[f"classifier.{part}"])
    assert after["classifier.weight"].shape[0] == 2
    assert not torch.equal(after["classifier.weight"][0], before["classifier.weight"][0])


def test_it_still_gives_its_source_s_scores_on_its_source_s_data(tuned, trained_run, tmp_path):
    shapes = [s for s in TINY if s.startswith("data.")]
    table, results = evaluated(
        tuned / "checkpoints" / "best.ckpt",
        tmp_path / "source",
        "head_of=source",
        "data=moving_shapes",
        *shapes,
        "views.num_clips=2",
    )
    first = pq.read_table(trained_run / "predictions.parquet")
    assert table["path"].to_pylist() == first["path"].to_pylist()
    scores = [np.array(t["probabilities"].to_pylist()) for t in (table, first)]
    np.testing.assert_allclose(*scores, atol=1e-6)
    assert results.protocol["head_of"] == "source"
    assert results.classes == tuple(describe(trained_run / "checkpoints" / "best.ckpt")["classes"])


@pytest.mark.slow
def test_by_default_it_is_the_new_head_that_is_evaluated(tuned, tmp_path):
    checkpoint = tuned / "checkpoints" / "best.ckpt"
    table, results = evaluated(checkpoint, tmp_path / "new", "views.num_clips=2")
    first = pq.read_table(tuned / "predictions.parquet")
    scores = [np.array(t["probabilities"].to_pylist()) for t in (table, first)]
    np.testing.assert_allclose(*scores, atol=1e-6)
    assert results.classes == NEW
    assert "head_of" not in results.protocol


def test_load_gives_either_label(tuned, trained_run, videos):
    checkpoint, video = tuned / "checkpoints" / "best.ckpt", videos / "test" / "left" / "0.mp4"
    assert videoclf.load(checkpoint, device="cpu").predict(video).class_names == NEW
    theirs = videoclf.load(checkpoint, "head_of=source", device="cpu").predict(video)
    expected = videoclf.load(trained_run / "checkpoints" / "best.ckpt", device="cpu").predict(video)
    assert theirs.class_names == expected.class_names
    np.testing.assert_allclose(theirs.probabilities, expected.probabilities, atol=1e-6)


@pytest.mark.slow
def test_a_run_goes_on_with_both_heads(tuned):
    for name in ("results.json", "report.html"):
        (tuned / name).rename(tuned / f"{name}.kept")
    done = run_script("train.py", f"resume={tuned}", cwd=tuned)
    assert done.returncode == 0, done.stderr
    again, first = (Results.load(tuned / f"results.json{end}") for end in ("", ".kept"))
    assert again.metrics == first.metrics


def test_a_checkpoint_with_one_head_has_no_other(trained_run, tmp_path):
    checkpoint = trained_run / "checkpoints" / "best.ckpt"
    with pytest.raises(ConfigError, match="best.ckpt has one class head"):
        videoclf.load(checkpoint, "head_of=source")
    with pytest.raises(ConfigError, match="head_of=old must be new or source"):
        videoclf.load(checkpoint, "head_of=old")
    path = saved(configured("slow_fusion"), tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="head_of=source, and in .* has one class head"):
        load_model(path, configured("slow_fusion"), head_of="source")


def test_what_cannot_be_kept_is_refused(tmp_path):
    nothing = {"keep_source_head": True, "init_from": None, "weights": None, "head": None}
    with pytest.raises(ConfigError, match="nothing to start from"):
        with_source_classes(nothing)
    with pytest.raises(ConfigError, match="a probe does without; set head=null freeze=backbone"):
        with_source_classes({**nothing, "init_from": "a.ckpt", "head": {"num_classes": 2}})
    path = saved(configured("slow_fusion", widths=[16, 32, 64, 256]), tmp_path / "wide.ckpt")
    with pytest.raises(CheckpointError, match="class head reads 256 features, the model's 128"):
        start_from(
            path,
            configured("slow_fusion"),
            class_names=["a"],
            allow_unmatched=True,
            keep_source=True,
        )


@pytest.mark.parametrize(
    "name",
    [
        "slow_fusion",
        "single_frame",
        "timesformer_small",
        pytest.param("gru_rcn", marks=pytest.mark.slow),
    ],
)
def test_source_logits_are_what_the_source_would_say(name, tmp_path):
    """Also of models that speak once a frame, or whose taps vote."""
    size = 64 if name in ("single_frame", "gru_rcn") else 32
    source = randomize_norms(configured(name, seed=1, image_size=size)).eval()
    model = configured(name, num_classes=2, image_size=size).eval()
    path = saved(source, tmp_path / "x.ckpt")
    start_from(path, model, class_names=["new", "c"], allow_unmatched=False, keep_source=True)
    rgb = torch.randn(2, 3, 8, size, size)
    with torch.no_grad():
        assert model(rgb).shape[-1] == 2
        assert torch.equal(source_logits(model, rgb=rgb), source(rgb))
        own = model(rgb)
        speak_as_source(model)
        assert torch.equal(model(rgb), source(rgb))
        assert own.shape[-1] == 2
    assert set(model.state_dict()) == set(source.state_dict())


def test_published_weights_keep_theirs_and_a_plain_file_has_one_head(tmp_path):
    source = configured("slow_fusion", seed=1).eval()
    card = Card(
        name="file:net", layout="videoclf", classes=tuple("abcde"), num_frames=8, crop_pixels=32
    )
    write_weights(source, card, tmp_path / "net.safetensors")
    model = configured("slow_fusion", num_classes=2).eval()
    name = f"file:{tmp_path / 'net.safetensors'}"
    said = load_entry(name, model, class_names=["E", "new"], keep_source=True)
    assert "1 of 2 classes by name; its class head of 5 classes is kept, frozen" in said
    assert torch.equal(model.classifier.weight[0], source.classifier.weight[4])
    rgb = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        assert torch.equal(source_logits(model, rgb=rgb), source(rgb))
    write_weights(model, replace(card, classes=("E", "new")), tmp_path / "two.safetensors")
    assert set(load_file(tmp_path / "two.safetensors")) == set(source.state_dict())


def test_the_kept_rows_learn_under_no_setting():
    def kept():
        model = configured("timesformer_small", num_classes=2)
        keep_source_head(model, weight=torch.ones(5, 96), bias=None)
        return model

    def learning(model):
        groups = parameter_groups(
            model, learning_rate=1.0, weight_decay=0.1, layer_decay=0.5, head_learning_rate_factor=2
        )
        return {id(p) for group in groups for p in group["params"]}

    whole, frozen, staged = kept(), kept(), kept()
    freeze_part(frozen, "backbone")
    freeze_part(staged, "backbone", [1, 2])
    for model in (whole, frozen, staged):
        assert id(model.classifier.weight) in learning(model)
        assert not learning(model) & {id(p) for p in model.source_classifier.parameters()}
    pytest.importorskip("peft", reason="needs peft: pip install -e '.[lora]'")
    adapted = kept()
    LowRankAdaptation(rank=2, alpha=1, dropout=0.0, targets=["qkv"]).apply(adapted)
    assert not learning(adapted) & {id(p) for p in adapted.source_classifier.parameters()}


def test_a_network_with_two_heads_starts_another_one(tuned):
    """It is its new head that is kept then."""
    path = tuned / "checkpoints" / "best.ckpt"
    shape = {"num_frames": 4, "widths": [4, 8], "temporal_strides": [1, 2]}
    model = configured("slow_fusion", num_classes=3, **shape)
    names = ["a", "lunge", "b"]
    start_from(path, model, class_names=names, allow_unmatched=False, keep_source=True)
    weights = model_weights(path)
    assert torch.equal(model.source_classifier.weight, weights["classifier.weight"])
    assert torch.equal(model.classifier.weight[1], weights["classifier.weight"][1])
