"""What fits is loaded, what may change is adapted, everything else is named."""

import pytest
import torch
from safetensors.torch import save_file

from tests.models.contract import configured
from videoclf.errors import CheckpointError
from videoclf.models.video_resnet import TORCHVISION_KEYS
from videoclf.weights.card import Card
from videoclf.weights.loading import load_file

TINY = {"widths": [4, 4, 8, 8], "blocks": [1, 1, 1, 1]}
CLASSES = ("walk", "run", "Push-Ups", "jump", "sit")
JOINT = {"factorisation": "joint"}
CARD = Card(name="file:net", layout="videoclf", classes=CLASSES)
RGB = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(1))


def r3d(seed=0, **changes):
    return configured("r3d_18", seed=seed, **{**TINY, **changes}).eval()


def saved(tmp_path, tensors):
    path = tmp_path / "net.safetensors"
    save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    return path


def logits(model):
    with torch.no_grad():
        return model(RGB)


@pytest.fixture
def trained():
    return r3d(seed=1)


def test_every_tensor_is_loaded(trained, tmp_path):
    model = r3d()
    said = load_file(saved(tmp_path, trained.state_dict()), CARD, model, class_names=CLASSES)
    assert said.startswith("weights of file:net: ")
    assert "and 5 of 5 classes by name" in said
    assert torch.equal(logits(model), logits(trained))


def test_missing_extra_and_misshapen_tensors_are_each_named(trained, tmp_path):
    tensors = trained.state_dict()
    del tensors["stages.1.0.conv1.weight"]
    tensors["stages.1.0.more"] = torch.zeros(1)
    tensors["stages.2.0.conv2.weight"] = torch.zeros(8, 8, 1, 1, 1)
    path = saved(tmp_path, tensors)
    with pytest.raises(CheckpointError) as caught:
        load_file(path, CARD, r3d(), class_names=CLASSES)
    text = str(caught.value)
    assert caught.value.exit_code == 5
    assert "only in the checkpoint: stages.1.0.more;" in text
    assert "only in the model: stages.1.0.conv1.*;" in text
    assert "stages.2.0.conv2.weight is (8, 8, 1, 1, 1), not (8, 8, 3, 3, 3);" in text
    assert "weights_allow_unmatched=true" in text
    model = r3d()
    said = load_file(path, CARD, model, class_names=CLASSES, allow_unmatched=True)
    assert "unmatched: only in the checkpoint: stages.1.0.more; only" in said
    expected = r3d().state_dict()
    expected |= {k: v for k, v in tensors.items() if k in expected and v.shape == expected[k].shape}
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_class_rows_follow_their_names(trained, tmp_path):
    names = ("push ups", "swim", "run")
    model = r3d(num_classes=3)
    fresh = model.classifier.weight[1].clone()
    path = saved(tmp_path, trained.state_dict())
    assert "2 of 3 classes by name" in load_file(path, CARD, model, class_names=names)
    assert torch.equal(model.classifier.weight[0], trained.classifier.weight[2])
    assert torch.equal(model.classifier.weight[1], fresh)
    assert torch.equal(model.classifier.weight[2], trained.classifier.weight[1])


def test_a_card_of_other_classes_than_the_head_is_refused(trained, tmp_path):
    card = Card(name="file:net", layout="videoclf", classes=CLASSES[:4])
    path = saved(tmp_path, trained.state_dict())
    with pytest.raises(CheckpointError, match=r"has 5 rows, and its card names 4 classes"):
        load_file(path, card, r3d(), class_names=CLASSES)


def test_a_head_over_other_features_is_named(trained, tmp_path):
    tensors = trained.state_dict()
    tensors["classifier.weight"] = torch.zeros(5, 7)
    path = saved(tmp_path, tensors)
    with pytest.raises(CheckpointError, match=r"classifier\.weight reads 7 features, not 8;"):
        load_file(path, CARD, r3d(), class_names=CLASSES)


def test_blue_green_red_is_turned(trained, tmp_path):
    tensors = trained.state_dict()
    first = "stem.conv.weight"
    path = saved(tmp_path, {**tensors, first: tensors[first].flip(1)})
    model = r3d()
    card = Card(name="file:net", layout="videoclf", classes=CLASSES, colours="bgr")
    load_file(path, card, model, class_names=CLASSES)
    assert torch.equal(logits(model), logits(trained))


def test_grey_filters_see_colours(trained, tmp_path):
    tensors = trained.state_dict()
    grey = tensors["stem.conv.weight"][:, :1]
    path = saved(tmp_path, {**tensors, "stem.conv.weight": grey})
    model = r3d()
    said = load_file(path, CARD, model, class_names=CLASSES)
    assert "adapted: stem.conv.weight 4 x 1 x 3 x 7 x 7 -> 4 x 3 x 3 x 7 x 7" in said
    torch.testing.assert_close(model.stem.conv.weight.sum(1, keepdim=True), grey)


def test_the_layout_of_a_file_without_card_is_found_out(trained, tmp_path):
    backward = {v: k for k, v in _torchvision_names(trained).items()}
    path = saved(tmp_path, {backward[k]: v for k, v in trained.state_dict().items()})
    model = r3d()
    card = Card(name="file:net", layout="unknown")
    load_file(path, card, model, class_names=CLASSES)
    assert torch.equal(model.stem.conv.weight, trained.stem.conv.weight)


def _torchvision_names(model):
    """Return torchvision's names of the tensors of a small net of ours."""
    from torchvision.models import video

    from videoclf.models.blocks.torchvision_weights import rename

    theirs = video.r3d_18(weights=None).state_dict()
    own = set(model.state_dict())
    named = {name: rename(name, TORCHVISION_KEYS["3d"]) for name in theirs}
    return {name: ours for name, ours in named.items() if ours in own}


@pytest.mark.parametrize(
    ("option", "built", "loaded", "name"),
    [
        ("timesformer_small", {"num_frames": 4}, {"num_frames": 8}, "time_embed"),
        ("timesformer_small", {"image_size": 32}, {"image_size": 64}, "pos_embed"),
        ("vivit_small", {**JOINT, "num_frames": 4}, {**JOINT, "num_frames": 8}, "pos_embed"),
        ("vivit_small", {"num_frames": 4}, {"num_frames": 8}, "time_embed"),
        ("vivit_small", {"image_size": 32}, {"image_size": 64}, "pos_embed"),
        ("mvit_small", {"image_size": 32}, {"image_size": 64}, "rel_pos_"),
        ("swin3d_small", {"window": [2, 4, 4]}, {"window": [2, 2, 2]}, "bias_table"),
    ],
)
def test_positions_follow_frames_and_crop(option, built, loaded, name, tmp_path):
    source = configured(option, seed=1, **built)
    model = configured(option, **loaded)
    tensors = {name: torch.randn_like(value) for name, value in source.state_dict().items()}
    said = load_file(saved(tmp_path, tensors), CARD, model, class_names=CLASSES)
    adapted = said.partition("adapted: ")[2]
    assert name in adapted
    for own, value in model.state_dict().items():
        if own not in adapted:
            assert torch.equal(value, tensors[own]), own
        else:  # interpolated between values that are there
            assert value.abs().max() <= 1.3 * tensors[own].abs().max()
            assert value.std() > 0.3 * tensors[own].std()
