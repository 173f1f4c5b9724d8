import pytest
import torch

from tests.models.contract import configured, randomize_norms
from videoclf.checkpoints import SealedCheckpointIO
from videoclf.errors import CheckpointError
from videoclf.init_from import branches, start_from
from videoclf.models.masked_autoencoder import MaskedAutoencoder

NAMES = ["a", "b", "c", "d", "e"]


def saved(model, path, classes=tuple(NAMES)):
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    description = {"classes": list(classes), "config": {}}
    SealedCheckpointIO(description).save_checkpoint({"state_dict": weights}, path)
    return path


def started(path, model, names=NAMES, allow_unmatched=False):
    return start_from(path, model, class_names=names, allow_unmatched=allow_unmatched)


def trained(name, **changes):
    return randomize_norms(configured(name, seed=1, **changes)).eval()


def test_the_same_model_gives_the_same_output(tmp_path):
    source, model = trained("slow_fusion"), configured("slow_fusion").eval()
    said = started(saved(source, tmp_path / "x.ckpt"), model)
    rgb = torch.randn(2, 3, 8, 32, 32)
    torch.testing.assert_close(model(rgb), source(rgb))
    assert said == f"started from {tmp_path / 'x.ckpt'}: 24 tensors and 5 of 5 classes by name"


def test_classes_go_by_name_and_new_ones_start_anew(tmp_path):
    source = trained("slow_fusion")
    model = configured("slow_fusion", num_classes=3).eval()
    fresh = model.classifier.weight[1].detach().clone()
    said = started(saved(source, tmp_path / "x.ckpt"), model, ["e", "new", "a"])
    rgb = torch.randn(2, 3, 8, 32, 32)
    torch.testing.assert_close(model(rgb)[:, [0, 2]], source(rgb)[:, [4, 0]])
    assert torch.equal(model.classifier.weight[1], fresh)
    assert "2 of 3 classes by name" in said


@pytest.mark.parametrize("target", ["inflated", "early_fusion"])
def test_a_net_of_single_frames_inflates(target, tmp_path):
    """A video of one frame gives what the frame gave, class scores included."""
    source = trained("single_frame", image_size=64)
    settings = {"time_padding": "replicate"} if target == "inflated" else {}
    model = configured(target, image_size=64, **settings).eval()
    said = started(saved(source, tmp_path / "x.ckpt"), model)
    still = torch.randn(2, 3, 1, 64, 64).expand(-1, -1, 8, -1, -1)
    with torch.no_grad():
        torch.testing.assert_close(model(still), source(still)[:, 0], atol=1e-3, rtol=1e-3)
    assert "tensors, inflated, and 5 of 5 classes" in said


def test_a_3d_resnet_starts_from_a_2d_one_of_its_layout(tmp_path):
    with torch.device("meta"):
        source = configured("single_frame", backbone="resnet50")
        model = configured("i3d_r50")
    source, model = source.to_empty(device="cpu"), model.to_empty(device="cpu")
    for place, value in enumerate(source.state_dict().values()):
        value.copy_(torch.full_like(value, place % 7))
    started(saved(source, tmp_path / "x.ckpt"), model)
    kernel = source.cnn.layer2[0].conv1.weight
    inflated = model.res3.blocks[0].conv1.weight
    torch.testing.assert_close(inflated, (kernel / 3)[:, :, None].repeat(1, 1, 3, 1, 1))
    torch.testing.assert_close(model.classifier.weight, source.classifier.weight)


def test_what_does_not_fit_is_named_and_refused_unless_allowed(tmp_path):
    path = saved(trained("slow_fusion"), tmp_path / "x.ckpt")
    wider = configured("slow_fusion", widths=[16, 32, 64, 256])
    before = wider.state_dict()["stages.0.0.weight"].clone()
    with pytest.raises(CheckpointError) as raised:
        started(path, wider)
    assert "stages.3.0.weight is (128, 64, 3, 3, 3), not (256, 64, 3, 3, 3)" in str(raised.value)
    assert "classifier.weight reads 128 features, not 256" in str(raised.value)
    assert raised.value.exit_code == 5
    assert torch.equal(wider.state_dict()["stages.0.0.weight"], before)
    said = started(path, wider, allow_unmatched=True)
    assert "19 tensors and 0 of 5 classes by name; unmatched: stages.3.0.weight is" in said
    assert not torch.equal(wider.state_dict()["stages.0.0.weight"], before)


def test_non_local_blocks_may_be_put_into_a_trained_net(tmp_path):
    source = trained("resnet_3d_small")
    path = saved(source, tmp_path / "x.ckpt")
    model = configured("resnet_3d_small", non_local_places=[["res3", 0]]).eval()
    with pytest.raises(CheckpointError, match=r"only in the model: res3.non_local.\*; take"):
        started(path, model)
    started(path, model, allow_unmatched=True)
    rgb = torch.randn(1, 3, 8, 32, 32)
    torch.testing.assert_close(model(rgb), source(rgb))


def test_a_pretrained_encoder_of_another_width_is_refused(tmp_path):
    source = configured("videomae_small")
    network = MaskedAutoencoder(encoder=source.encoder, decoder_depth=1)
    path = saved(network, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=r"encoder.patch_embed.weight is \(96, .* not \(64"):
        started(path, configured("videomae_small", width=64))
    said = started(path, configured("videomae_small"))
    assert "left behind: mask_token, norm.*, to_decoder.*" in said


def test_a_pretraining_goes_on_from_another_one(tmp_path):
    first, second = (
        MaskedAutoencoder(encoder=configured("videomae_small", seed=n).encoder, decoder_depth=1)
        for n in (1, 2)
    )
    said = started(saved(first, tmp_path / "x.ckpt"), second)
    assert torch.equal(second.to_pixels.weight, first.to_pixels.weight)
    assert "unmatched" not in said
    assert "left behind" not in said


def test_whole_branches_are_named_once():
    names = ["cnn.a.weight", "cnn.a.bias", "head.x.weight", "head.x.bias", "head.y", "z"]
    assert branches(names, ["head.z", "head.x.weight"]) == [
        "cnn.*",
        "head.x.weight",
        "head.x.bias",
        "head.y",
        "z",
    ]


def test_another_model_is_refused_with_what_is_on_either_side(tmp_path):
    path = saved(trained("single_frame"), tmp_path / "x.ckpt")
    with pytest.raises(
        CheckpointError,
        match=r"only in the checkpoint: cnn.\*; only in the model: stages.\*; class",
    ):
        started(path, configured("slow_fusion"))


def test_what_is_beside_the_2d_network_is_named(tmp_path):
    path = saved(trained("late_fusion_pool", pooling="conv"), tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=r"beside the 2D network: pool.\*; take"):
        started(path, configured("inflated", image_size=64))


def test_a_2d_net_of_another_layout_is_refused(tmp_path):
    path = saved(configured("single_frame", backbone="resnet18"), tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match="does not fit the model: the image weights lack"):
        started(path, configured("inflated", image_size=64))


def test_no_such_file(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        started(tmp_path / "none.ckpt", configured("slow_fusion"))
