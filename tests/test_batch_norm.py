import pytest
import torch
from torch import nn

from tests.models.contract import configured
from tests.small_training import train
from videoclf.batch_norm import BatchNorm
from videoclf.errors import ConfigError
from videoclf.freezing import freeze_part
from videoclf.precise_statistics import PreciseStatistics

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")


def slow_fusion():
    return configured("slow_fusion", num_frames=4, temporal_strides=[1, 2, 1, 1])


def norms_of(model):
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]


def state(module):
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


def apply(model, mode, precise_batches=0, on_gpu=False):
    return BatchNorm(mode=mode, precise_batches=precise_batches).apply(model, on_gpu=on_gpu)


@pytest.mark.parametrize(
    ("mode", "learn"),
    [("train", [True] * 4), ("frozen", [False] * 4), ("partial", [True, False, False, False])],
)
def test_what_stays_through_a_training_with_validation(mode, learn):
    model = slow_fusion()
    callbacks = apply(model, mode)
    before = [state(norm) for norm in norms_of(model)]
    head = state(model.classifier)
    train(model, *callbacks)
    assert [changed(n, b) for n, b in zip(norms_of(model), before, strict=True)] == learn
    assert changed(model.classifier, head)
    assert changed(model.stages[0][0], {"weight": torch.zeros(())})
    assert [norm.weight.requires_grad for norm in norms_of(model)] == learn


def test_only_the_head_learns_above_a_frozen_backbone():
    model = slow_fusion()
    callbacks = freeze_part(model, "backbone")
    before, head = state(model.stages), state(model.classifier)
    train(model, *callbacks)
    assert not changed(model.stages, before)
    assert changed(model.classifier, head)
    assert all(parameter.grad is None for parameter in model.stages.parameters())
    assert freeze_part(model, None) == []


def test_sync_converts_every_norm_and_keeps_names_and_weights():
    model = slow_fusion()
    before = state(model)
    assert apply(model, "sync", on_gpu=True) == []
    assert len([m for m in model.modules() if isinstance(m, nn.SyncBatchNorm)]) == 4
    assert not changed(model, before)
    assert model.state_dict().keys() == before.keys()


def test_sync_keeps_the_activation_inside_a_norm_of_timm():
    torch.manual_seed(0)
    model = configured("single_frame", backbone="resnetv2_50", image_size=32).eval()
    rgb = torch.randn(1, 3, 1, 32, 32)
    with torch.no_grad():
        before = model(rgb)
        apply(model, "sync", on_gpu=True)
        torch.testing.assert_close(model.eval()(rgb), before)


def test_precise_statistics_are_a_callback():
    (callback,) = apply(slow_fusion(), "train", precise_batches=7)
    assert isinstance(callback, PreciseStatistics)
    assert callback.num_batches == 7


def test_wrong_values():
    with pytest.raises(ValueError, match="batch_norm.mode='on' is none of train, sync, frozen"):
        BatchNorm(mode="on", precise_batches=0)
    with pytest.raises(ValueError, match="batch_norm.precise_batches=-1 must be at least 0"):
        BatchNorm(mode="train", precise_batches=-1)
    with pytest.raises(ValueError, match="mode=frozen keeps its statistics, and .*_batches=3"):
        BatchNorm(mode="frozen", precise_batches=3)
    with pytest.raises(ConfigError, match="mode=sync needs GPUs, for PyTorch synchronises no"):
        apply(slow_fusion(), "sync")
    with pytest.raises(ConfigError, match="C3D has no batch norm; set train and 0"):
        apply(configured("c3d_small", num_frames=16, image_size=32), "frozen")
    with pytest.raises(ConfigError, match="freeze=head is none of null, backbone"):
        freeze_part(slow_fusion(), "head")
    with pytest.raises(ConfigError, match="freeze=backbone: Flatten has no linear layer `classi"):
        freeze_part(nn.Flatten(), "backbone")


def test_an_inflated_norm_with_an_activation_is_refused():
    model = configured(
        "inflated", backbone="resnetv2_50", image_size=64, temporal_kernels={}, temporal_strides={}
    )
    with pytest.raises(ConfigError, match="cannot synchronise InflatedBatchNormAct"):
        apply(model, "sync", on_gpu=True)
