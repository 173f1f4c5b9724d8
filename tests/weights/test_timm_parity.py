"""Networks of pictures that timm's own code saves: the same features here, frame by frame."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from tests.models.contract import configured, randomize_norms
from videoclf.config_from_weights import _for_chosen_model
from videoclf.errors import CheckpointError, ConfigError
from videoclf.weights.card import Card
from videoclf.weights.loading import load_file
from videoclf.weights.settings import as_overrides, training_settings
from videoclf.weights.sources import parse, source_of

CLASSES = ("a", "b", "c", "d", "e")


def published(network, tmp_path):
    """Save a network with its classifier of 1,000 pictures, as timm publishes them."""
    torch.manual_seed(5)
    theirs = randomize_norms(timm.create_model(network, pretrained=False)).eval()
    path = tmp_path / "model.safetensors"
    save_file({k: v.contiguous() for k, v in theirs.state_dict().items()}, path)
    card = Card(name=f"timm:{network}", layout="timm", model_settings={"backbone": network})
    return theirs, path, card


def features(theirs, frames):
    with torch.no_grad():
        return theirs.forward_head(theirs.forward_features(frames), pre_logits=True)


@pytest.mark.parametrize("network", ["test_resnet", "test_convnext", "test_vit"])
def test_of_single_frames(network, tmp_path):
    theirs, path, card = published(network, tmp_path)
    ours = configured("single_frame", backbone=network, image_size=160).eval()
    said = load_file(path, card, ours, class_names=CLASSES)
    assert "0 of 5 classes" in said
    frames = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(ours.cnn(frames), features(theirs, frames), atol=1e-4, rtol=0)


def test_inflated_on_a_repeated_frame(tmp_path):
    theirs, path, card = published("resnet10t", tmp_path)
    ours = configured("inflated", backbone="resnet10t", time_padding="replicate").eval()
    load_file(path, card, ours, class_names=CLASSES)
    frame = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found = ours.features(frame[:, :, None].expand(-1, -1, 8, -1, -1))
    torch.testing.assert_close(found, features(theirs, frame), atol=1e-4, rtol=0)


def test_a_file_of_another_network_is_named(tmp_path):
    theirs, path, card = published("test_resnet", tmp_path)
    tensors = dict(theirs.state_dict())
    first = next(iter(tensors))
    del tensors[first]
    save_file({**tensors, "more": torch.zeros(1)}, path)
    ours = configured("single_frame", backbone="test_resnet", image_size=160)
    with pytest.raises(CheckpointError, match=f'"{first}".*"more"'):
        load_file(path, card, ours, class_names=CLASSES)


def test_a_model_of_another_backbone_is_refused(tmp_path):
    _, path, card = published("test_resnet", tmp_path)
    with pytest.raises(CheckpointError, match=r"set model\.backbone=test_resnet"):
        load_file(path, card, configured("inflated"), class_names=CLASSES)
    with pytest.raises(CheckpointError, match="C3D takes no networks of pictures"):
        load_file(path, card, configured("c3d_small", num_frames=16), class_names=CLASSES)


def test_the_card_of_timms_entry():
    name = parse("timm:resnet50.a1_in1k")
    card = source_of(name).card(name)
    assert (card.mean, card.licence) == ((0.485, 0.456, 0.406), "apache-2.0")
    settings = training_settings(card)
    for model in ("inflated", "timesformer_b"):
        given = [f"model={model}"]
        overrides = as_overrides(_for_chosen_model(settings, given), given)
        assert ('model.backbone="resnet50"' in overrides) == (model == "inflated")
    with pytest.raises(ConfigError, match="timm has no weights 'resnet50.a9_in1k'"):
        source_of(name).card(parse("timm:resnet50.a9_in1k"))
