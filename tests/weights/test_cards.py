"""Each card of ours names a network that exists and takes what the card says."""

from importlib import import_module

import pytest
import torch
import yaml

from tests.models.contract import CONF, configured
from videoclf.errors import CheckpointError
from videoclf.evaluation.views import Views
from videoclf.weights.card import Card
from videoclf.weights.key_maps import FAMILIES
from videoclf.weights.loading import load_entry
from videoclf.weights.sources import carded_source, parse, source_of

SCHEMES = ("pytorchvideo", "pyslowfast", "mmaction")
ENTRIES = [entry for scheme in SCHEMES for entry in carded_source.entries(scheme)]


def card_of(entry):
    name = parse(entry)
    return source_of(name).card(name)


def test_there_are_cards():
    assert len(ENTRIES) > 40


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_card_is_whole(entry):
    card = card_of(entry)
    assert card.name == entry
    assert card.layout == entry.partition(":")[0]
    assert card.url is not None
    assert card.licence is not None
    assert (card.accuracy == {}) == (card.accuracy_source is None)
    assert all(0.3 < value < 1 for value in card.accuracy.values())
    assert card.resize_pixels >= card.crop_pixels
    assert len(card.mean) == len(card.std) == 3
    assert min(card.std) > 0
    assert max(*card.mean, *card.std) < 1
    assert (card.stride is None) != (card.fps is None)
    Views(average="probabilities", **card.views)
    assert len(card.classes) == (400 if card.class_set == "kinetics400" else 0)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_cards_network_is_an_option_whose_family_reads_its_names(entry):
    card = card_of(entry)
    option = yaml.safe_load((CONF / f"{card.model}.yaml").read_text(encoding="utf-8"))
    assert set(card.model_settings) <= set(option)
    family = FAMILIES[option["_target_"].rpartition(".")[2]]
    assert card.layout in import_module(f"videoclf.weights.key_maps.{family}").LAYOUTS


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_cards_network_takes_its_clips(entry):
    card = card_of(entry)
    with torch.device("meta"):
        model = configured(
            card.model,
            num_classes=400,
            num_frames=card.num_frames,
            image_size=card.crop_pixels,
            **card.model_settings,
        )
        clip = torch.zeros(1, 3, card.num_frames, card.crop_pixels, card.crop_pixels)
        logits = model.eval()(clip)
    window = card.model_settings.get("window_pixels") or card.crop_pixels
    windows_a_side = -(-card.crop_pixels // 32) - -(-window // 32) + 1
    assert logits.shape == ((1, 400) if windows_a_side == 1 else (1, windows_a_side**2, 400))


def test_without_network_one_sentence_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    place = tmp_path / "hub" / "checkpoints" / "X3D_S.pyth"
    with pytest.raises(CheckpointError) as raised:
        load_entry("pytorchvideo:x3d_s", configured("x3d_s"), class_names=())
    assert f"X3D_S.pyth elsewhere and put it at {place}" in str(raised.value)


def test_a_head_of_another_size_than_its_card_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub" / "checkpoints" / "X3D_S.pyth"
    place.parent.mkdir(parents=True)
    head = {"blocks.5.proj.weight": torch.zeros(399, 2048), "blocks.5.proj.bias": torch.zeros(399)}
    torch.save({"model_state": head}, place)
    with pytest.raises(CheckpointError, match=r"has 399 rows, and its card names 400 classes"):
        load_entry("pytorchvideo:x3d_s", configured("x3d_s", depths=[1] * 4), class_names=())


def test_no_class_name_is_aligned_where_the_card_knows_none():
    card = card_of("mmaction:c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb")
    assert isinstance(card, Card)
    assert card.classes == ()
    assert "no class name is known here" in card.notes
