"""Classes in another order than the head's are noticed wherever somebody knows the order."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from videoclf.errors import CheckpointError
from videoclf.init_from import HEAD
from videoclf.weights.card import Card, read_card, write_card
from videoclf.weights.class_order import check_order, classes_in
from videoclf.weights.class_sets import class_names_of
from videoclf.weights.converting import write_weights
from videoclf.weights.heads import check_against_card
from videoclf.weights.sources import carded_source, parse, source_of

CLASSES = ("walk", "run", "Push-Ups")


class Linear(nn.Module):
    """The smallest network with a class head."""

    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(3, 3)

    def forward(self, rgb):
        return self.classifier(rgb.mean((2, 3, 4)))


@pytest.fixture
def converted(tmp_path):
    """A file that `videoclf weights convert` writes, and its card."""
    card = Card(name="file:a", layout="videoclf", classes=CLASSES, crop_pixels=8, num_frames=2)
    path = tmp_path / "net.safetensors"
    write_weights(Linear(), card, path)
    return path


def card_of(path):
    name = parse(f"file:{path}")
    return source_of(name).card(name)


def test_a_converted_file_carries_its_classes(converted):
    assert classes_in(converted) == CLASSES
    assert card_of(converted).classes == CLASSES
    converted.with_suffix(".yaml").unlink()
    assert card_of(converted).classes == CLASSES


def test_a_card_in_another_order_than_its_file_is_refused(converted):
    beside = converted.with_suffix(".yaml")
    card = read_card(beside)
    write_card(replace(card, classes=("walk", "push ups", "run")), beside)
    with pytest.raises(
        CheckpointError,
        match=r"class 1 'push ups', and net.safetensors itself 'run' \(the same classes in another",
    ):
        card_of(converted)
    write_card(replace(card, classes=("WALK", "run", "push_ups")), beside)  # spelt otherwise
    assert card_of(converted).classes == ("WALK", "run", "push_ups")
    write_card(replace(card, classes=("walk", "swim", "run")), beside)
    with pytest.raises(CheckpointError, match=r"class 1 'swim', and .* 'run' \(others\)"):
        card_of(converted)
    write_card(replace(card, classes=CLASSES[:2]), beside)
    with pytest.raises(CheckpointError, match=r"names 2 classes, and net.safetensors itself 3;"):
        card_of(converted)


def test_other_files_carry_none(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"classes": "no list"})
    (tmp_path / "b.safetensors").write_bytes(b"damaged")
    (tmp_path / "c.pth").touch()
    assert {classes_in(path) for path in tmp_path.iterdir()} == {()}


@pytest.mark.parametrize("layout", ["pytorchvideo", "pyslowfast", "mmaction"])
def test_a_zoos_card_in_another_order_than_its_data_set_is_refused(layout):
    names = list(class_names_of("kinetics400"))
    rows = {HEAD[0]: torch.zeros(400, 2)}
    card = Card(name="file:a", layout=layout, classes=tuple(names), class_set="kinetics400")
    check_against_card(rows, card)
    names[7], names[8] = names[8], names[7]
    swapped = replace(card, classes=tuple(names))
    with pytest.raises(CheckpointError, match=rf"calls class 7 '{names[7]}', and {layout}'s kin"):
        check_against_card(rows, swapped)
    check_against_card(rows, replace(swapped, class_set=None))  # nobody knows
    check_against_card(rows, replace(swapped, layout="videoclf"))  # of one's own training


def test_a_repositorys_own_labels_are_right(tmp_path, monkeypatch):
    folder = tmp_path / "hub"
    folder.mkdir()
    config = {
        "model_type": "timesformer",
        "architectures": ["TimesformerForVideoClassification"],
        "id2label": {"0": "walk", "1": "run"},
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "patch_size": 4,
        "num_frames": 2,
        "image_size": 8,
    }
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(carded_source, "CARDS", tmp_path / "cards")
    own = tmp_path / "cards" / "hf" / f"{folder.relative_to('/')}.yaml"
    own.parent.mkdir(parents=True)
    monkeypatch.chdir("/")
    name = parse(f"hf:{folder.relative_to('/')}")
    card = Card(name=str(name), layout="transformers", classes=("walk", "run"))
    write_card(card, own)
    assert source_of(name).card(name).classes == ("walk", "run")
    write_card(replace(card, classes=("run", "walk")), own)
    with pytest.raises(CheckpointError, match=r"calls class 0 'run', and its config.json 'walk'"):
        source_of(name).card(name)


def test_who_knows_nothing_is_silent():
    check_order(Card(name="a", layout="mmaction"), CLASSES, of="b")
    check_order(Card(name="a", layout="mmaction", classes=CLASSES), (), of="b")
