"""V-JEPA 2 as transformers saves it, whole or in shards: its logits, its tokens, its pixels."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from tests.models.contract import configured
from tests.weights.random_weights import randomized
from tests.weights.test_pipeline_parity import ours as read_by_card
from tests.weights.test_pipeline_parity import peer_frames
from tests.weights.test_pipeline_parity import video as video
from videoclf.errors import CheckpointError
from videoclf.evaluation.views import Views
from videoclf.weights.card import read_card
from videoclf.weights.loading import load_entry
from videoclf.weights.reading import read_tensors
from videoclf.weights.sources import carded_source, parse, source_of
from videoclf.weights.sources.hugging_face import answers

transformers = pytest.importorskip(
    "transformers", reason="needs transformers: pip install -e '.[transformers]'"
)
CLASSES = ("walk", "run", "sit", "jump", "swim")
SHAPE = {
    "patch_size": 8,
    "crop_size": 32,
    "frames_per_clip": 8,
    "hidden_size": 64,  # 16 a head: 4 each for step, row and column, and 4 that are not turned
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "mlp_ratio": 3.0,
    "num_pooler_layers": 2,
    "pred_hidden_size": 24,
    "pred_num_attention_heads": 2,
    "pred_num_hidden_layers": 1,
    "id2label": dict(enumerate(CLASSES)),
}
KEY = "vjepa2.encoder.layer.1.mlp.fc1.bias"


def classifier(**changes):
    torch.manual_seed(0)
    config = transformers.VJEPA2Config(**{**SHAPE, **changes})
    return randomized(transformers.VJEPA2ForVideoClassification(config))


def save(network, folder, **settings):
    """Save as transformers does, with the processor of the network's crop; return the entry."""
    network.save_pretrained(folder, **settings)
    crop = network.config.crop_size
    transformers.VJEPA2VideoProcessor(crop_size=crop).save_pretrained(folder)
    return f"hf:{folder}"


def card_of(entry):
    return source_of(parse(entry)).card(parse(entry))


def like(card, **changes):
    """Our network by a card."""
    shape = {"num_frames": card.num_frames, "image_size": card.crop_pixels}
    return configured(card.model, **{**shape, **card.model_settings, **changes}).eval()


def clips(num_frames=8, pixels=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, num_frames, pixels, pixels, generator=generator)


def test_logits_and_tokens_are_those_of_transformers(tmp_path):
    theirs = classifier()
    entry = save(theirs, tmp_path)
    card = card_of(entry)
    assert card.classes == CLASSES
    ours = like(card)
    assert "5 of 5 classes" in load_entry(entry, ours, class_names=CLASSES, whole=True)
    rgb = clips()
    with torch.no_grad():
        expected = theirs(rgb.transpose(1, 2)).logits
        tokens = theirs.vjepa2(rgb.transpose(1, 2), skip_predictor=True).last_hidden_state
        torch.testing.assert_close(ours.tokens(rgb), tokens, atol=1e-4, rtol=0)
        torch.testing.assert_close(ours(rgb), expected, atol=1e-4, rtol=0)
    assert expected.abs().max() > 0.1


@pytest.mark.parametrize(("num_frames", "pixels"), [(12, 32), (4, 48), (16, 24)])
def test_other_frames_and_another_crop_than_it_was_saved_for(num_frames, pixels, tmp_path):
    saved = classifier()
    entry = save(saved, tmp_path)
    theirs = classifier(crop_size=pixels, frames_per_clip=num_frames)
    theirs.load_state_dict(saved.state_dict())
    ours = like(card_of(entry), num_frames=num_frames, image_size=pixels)
    load_entry(entry, ours, class_names=CLASSES)
    rgb = clips(num_frames, pixels)
    with torch.no_grad():
        expected = theirs(rgb.transpose(1, 2)).logits
        torch.testing.assert_close(ours(rgb), expected, atol=1e-4, rtol=0)
        off = (expected - saved(rgb.transpose(1, 2)).logits).abs().max()
    assert pixels == 32 or off > 1e-3  # transformers reads the grid from its config, we from clips


def test_of_an_encoder_the_tokens_are_its_and_what_is_left_and_new_is_named(tmp_path):
    theirs = randomized(transformers.VJEPA2Model(transformers.VJEPA2Config(**SHAPE)))
    entry = save(theirs, tmp_path)
    card = card_of(entry)
    assert card.classes == ()
    ours = like(card)
    said = load_entry(entry, ours, class_names=CLASSES)
    assert "left behind: mask_token, predictor.*; new: pooler.*, classifier.*" in said
    assert "0 of 5 classes" in said
    rgb = clips()
    with torch.no_grad():
        expected = theirs(rgb.transpose(1, 2), skip_predictor=True).last_hidden_state
        torch.testing.assert_close(ours.tokens(rgb), expected, atol=1e-4, rtol=0)


def test_rows_of_the_head_follow_the_names_of_classes(tmp_path):
    theirs = classifier()
    entry = save(theirs, tmp_path)
    names = ("Jump", "fly", "walk")
    ours = like(card_of(entry), num_classes=3)
    drawn = ours.classifier.weight[1].clone()
    assert "2 of 3 classes by name" in load_entry(entry, ours, class_names=names)
    weight = theirs.classifier.weight
    assert torch.equal(ours.classifier.weight, torch.stack([weight[3], drawn, weight[0]]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found.pop(KEY), "encoder.blocks.1.mlp.fc1.bias"),
        (lambda found: found.update({"pooler.extra": torch.zeros(2)}), "pooler.extra"),
        (lambda found: found.update({KEY: torch.zeros(5)}), "encoder.blocks.1.mlp.fc1.bias"),
        (
            lambda found: found.pop("pooler.cross_attention_layer.cross_attn.v_proj.weight"),
            "pooler.pool.kv.weight",
        ),
    ],
)
def test_a_missing_extra_or_misshapen_key_is_named(change, said, tmp_path):
    entry = save(classifier(), tmp_path)
    file = tmp_path / "model.safetensors"
    found = load_file(file)
    change(found)
    save_file(found, file)
    with pytest.raises(CheckpointError, match=said) as raised:
        load_entry(entry, like(card_of(entry)), class_names=CLASSES)
    assert raised.value.exit_code == 5


def test_what_another_activation_would_change_is_refused(tmp_path):
    entry = save(classifier(hidden_act="relu"), tmp_path)
    with pytest.raises(CheckpointError, match=r"has {'hidden_act': 'relu'}"):
        card_of(entry)


def test_the_same_video_gives_the_same_pixels_and_scores(video, tmp_path):
    theirs = classifier(crop_size=64)
    entry = save(theirs, tmp_path)
    card = card_of(entry)
    assert (card.resize_pixels, card.crop_pixels) == (73, 64)
    assert (card.mean[0], card.std[0]) == (0.485, 0.229)
    found, indices = read_by_card(video, replace(card, fps=None, stride=2))
    processor = transformers.AutoVideoProcessor.from_pretrained(tmp_path)
    frames = torch.from_numpy(peer_frames(video)[indices]).permute(0, 3, 1, 2)
    expected = processor(frames, return_tensors="pt")["pixel_values_videos"]  # (1, T, C, H, W)
    off = float((found - expected.transpose(1, 2)).abs().max())
    print(f"largest difference of a normalised pixel: {off:.2g}")
    assert found.shape == (1, 3, 8, 64, 64)
    assert off <= 0.02
    ours = like(card)
    load_entry(entry, ours, class_names=CLASSES, whole=True)
    with torch.no_grad():
        scores = theirs(expected).logits.softmax(-1)
        torch.testing.assert_close(ours(found).softmax(-1), scores, atol=1e-3, rtol=0)


def test_the_short_side_follows_from_the_crop_as_in_the_processor(tmp_path):
    entry = save(classifier(), tmp_path)
    file = tmp_path / "video_preprocessor_config.json"
    said = {**json.loads(file.read_text()), "crop_size": 256, "size": {"shortest_edge": 400}}
    file.write_text(json.dumps(said))
    processor = transformers.AutoVideoProcessor.from_pretrained(tmp_path)
    card = card_of(entry)
    assert card.resize_pixels == processor.size["shortest_edge"] == 292
    assert card.crop_pixels == processor.crop_size["height"] == 256


@pytest.fixture
def sharded(tmp_path):
    save(classifier(), tmp_path, max_shard_size="200KB")
    assert not (tmp_path / "model.safetensors").exists()
    return tmp_path


def test_shards_give_what_one_file_gives(sharded, tmp_path_factory):
    files = sorted(sharded.glob("model-*.safetensors"))
    assert len(files) > 2
    whole = tmp_path_factory.mktemp("whole")
    save(classifier(), whole)
    expected = load_file(whole / "model.safetensors")
    found = read_tensors(source_of(parse(f"hf:{sharded}")).fetch(parse(f"hf:{sharded}")))
    assert sorted(found) == sorted(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    ours = like(card_of(f"hf:{sharded}"))
    assert "5 of 5 classes" in load_entry(f"hf:{sharded}", ours, class_names=CLASSES, whole=True)


def test_a_shard_that_is_not_there_is_named(sharded):
    second = sorted(sharded.glob("model-*.safetensors"))[1]
    second.unlink()
    ours = like(card_of(f"hf:{sharded}"))
    with pytest.raises(CheckpointError, match=f"has no {second.name}") as raised:
        load_entry(f"hf:{sharded}", ours, class_names=CLASSES)
    assert raised.value.exit_code == 5
    with pytest.raises(
        CheckpointError, match=f"lacks {second.name}, which model.safetensors.index"
    ):
        read_tensors(sharded / "model.safetensors.index.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda places, name: places.update({name: "../../secret.safetensors"}), "stand beside it"),
        (lambda places, name: places.update({name: "weights.bin"}), "is no .safetensors"),
        (lambda places, name: places.pop(name), "holds, beside what the index says,"),
        (lambda places, name: places.update({"new": places[name]}), "lacks new"),
        (lambda places, name: places.clear(), "is no index"),
    ],
)
def test_an_index_that_does_not_tell_the_truth_is_refused(change, said, sharded):
    index = sharded / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    change(content["weight_map"], KEY)
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=said):
        read_tensors(index)


def in_the_hubs_cache(repository, root):
    """Return the folder of a repository's only revision, as the hub's client lays it out."""
    place = root / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc")
    return place / "snapshots" / "abc"


def test_a_published_repository_in_the_hubs_cache(tmp_path, monkeypatch):
    """As the giant one of Something-Something: in shards, and with a card of ours."""
    repository = "facebook/vjepa2-vitg-fpc64-384-ssv2"
    save(classifier(), in_the_hubs_cache(repository, tmp_path), max_shard_size="200KB")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    answers.cache_clear()
    card = card_of(f"hf:{repository}")
    assert (card.stride, card.fps, card.num_frames) == (2, None, 8)
    assert card.accuracy == {"top1": 0.773}
    assert "model.pooler_heads=16" in card.notes
    ours = like(card)
    said = load_entry(f"hf:{repository}", ours, class_names=CLASSES, whole=True)
    assert "5 of 5 classes" in said
    with pytest.raises(CheckpointError, match="run `hf download facebook/vjepa2-vitl-fpc64-256`"):
        card_of("hf:facebook/vjepa2-vitl-fpc64-256")
    answers.cache_clear()


def test_our_cards_of_the_hub_are_cards():
    entries = [name for name in carded_source.entries("hf") if "vjepa2" in name]
    assert len(entries) == 8
    for name in entries:
        card = read_card(carded_source.CARDS / "hf" / f"{name.partition(':')[2]}.yaml")
        assert card.name == name
        assert (card.accuracy == {}) == (card.accuracy_source is None)
        Views(average="probabilities", **{"num_clips": 1, "num_crops": 1, **card.views})


@pytest.mark.slow
def test_evaluate_names_a_misshapen_tensor_and_ends_with_5(video, tmp_path):
    entry = save(classifier(), tmp_path / "net")
    file = tmp_path / "net" / "model.safetensors"
    save_file({**load_file(file), KEY: torch.zeros(5)}, file)
    for name in CLASSES[:2]:
        (tmp_path / "videos" / "test" / name).mkdir(parents=True)
        shutil.copy(video, tmp_path / "videos" / "test" / name)
    root = Path(__file__).parents[2]
    settings = ["data=folder", f"data.root={tmp_path / 'videos'}", f"run_dir={tmp_path / 'run'}"]
    ended = subprocess.run(
        [sys.executable, "evaluate.py", f"model.weights={entry}", *settings],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.returncode == 5, ended.stderr
    assert "encoder.blocks.1.mlp.fc1.bias" in ended.stderr.splitlines()[-1]
