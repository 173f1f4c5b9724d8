import pytest
import torch

from tests.models.contract import (
    check_contract,
    configured,
    count,
    giga_macs,
    permutation_error,
    randomize_norms,
)
from videoclf.models.slowfast import Lateral

TINY = {"width": 16, "depths": [1, 1, 2, 1]}


@pytest.mark.parametrize("name", ["slowfast_4x16_r50", "slowfast_8x8_r50"])
def test_contract(name):
    check_contract(lambda: configured(name, **TINY, dropout=0.0, num_frames=16), num_frames=16)


def test_contract_of_the_small_one():
    check_contract(lambda: configured("slowfast_small"))


@pytest.mark.parametrize(
    ("name", "parameters", "macs_224", "macs_256"),
    [
        ("slowfast_4x16_r50", 34_480_216, 27.639, 36.099),
        ("slowfast_8x8_r50", 34_566_488, 50.309, 65.712),
        ("slowfast_8x8_r101", 62_826_968, 96.397, 125.908),
    ],
)
def test_parameters_and_macs_are_the_published(name, parameters, macs_224, macs_256):
    with torch.device("meta"):
        model = configured(name, num_classes=400, num_frames=32)
    assert count(model) == parameters
    assert model.classifier.in_features == 2304
    assert giga_macs(model, 32, 224) == pytest.approx(macs_224, abs=1e-3)
    assert giga_macs(model, 32, 256) == pytest.approx(macs_256, rel=1e-4)


def test_of_16x8_some_blocks_of_res4_look_over_time():
    with torch.device("meta"):
        model = configured("slowfast_16x8_r101", num_classes=400, num_frames=64)
    assert count(model) == 53_774_808
    assert giga_macs(model, 64, 224) == pytest.approx(163.095, abs=1e-3)
    for stages in (model.slow_stages, model.fast_stages):
        seen = [block.conv1.kernel_size[0] for block in stages[2].blocks]
        assert seen == [3] * 6 + [1] * 17


def test_conv1_has_one_kernel():
    with pytest.raises(ValueError, match=r"begin with conv1's, one number, not a list"):
        configured("slowfast_small", slow_kernels=[[1, 3], 1, 1, 3, 3])


def test_non_local_blocks_stand_in_the_slow_pathway():
    with torch.device("meta"):
        plain = configured("slowfast_8x8_r50", num_frames=32)
        model = configured(
            "slowfast_8x8_r50", num_frames=32, non_local_places=[["res4", 1], ["res4", 3]]
        )
    assert count(model) - count(plain) == 2 * 2_101_760
    assert [list(stage.non_local) for stage in model.slow_stages] == [[], [], ["1", "3"], []]
    assert not any(len(stage.non_local) for stage in model.fast_stages)


def test_an_inserted_non_local_block_changes_nothing():
    trained = randomize_norms(configured("slowfast_small")).eval()
    model = configured("slowfast_small", non_local_places=[["res4", 0]], seed=1).eval()
    model.load_state_dict(trained.state_dict(), strict=False)
    rgb = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(rgb), trained(rgb))


@pytest.mark.parametrize(("num_frames", "alpha", "kernel"), [(32, 8, 5), (32, 4, 7), (13, 4, 5)])
def test_lateral_windows_are_centred_on_the_slow_frames(num_frames, alpha, kernel):
    lateral = Lateral(1, 1, kernel=kernel, alpha=alpha).eval()
    torch.nn.init.zeros_(lateral.conv.weight)
    lateral.conv.weight.data[..., kernel // 2, 0, 0] = 1
    numbers = torch.arange(float(num_frames)).view(1, 1, -1, 1, 1)
    found = lateral(numbers).flatten()
    torch.testing.assert_close(found, numbers.flatten()[::alpha], atol=1e-3, rtol=1e-4)


def test_the_slow_pathway_sees_every_alphath_frame_and_the_fast_one_all():
    model = configured("slowfast_small").eval()
    seen = {}
    for name in ("slow_stem", "fast_stem"):
        model.get_submodule(name).register_forward_hook(
            lambda _, clip, __, name=name: seen.update({name: clip[0]})
        )
    rgb = torch.randn(1, 3, 8, 32, 32)
    model(rgb)
    assert torch.equal(seen["slow_stem"], rgb[:, :, [0, 4]])
    assert torch.equal(seen["fast_stem"], rgb)


def test_every_frame_and_their_order_matter():
    model = configured("slowfast_small")
    rgb = torch.randn(1, 3, 8, 32, 32)
    assert permutation_error(model, rgb) > 1e-2
    with torch.no_grad():
        for frame in range(8):
            changed = rgb.clone()
            changed[:, :, frame] = 0
            assert (model(changed) - model(rgb)).abs().max() > 1e-5, frame


def test_recomputed_blocks_give_the_same_gradients():
    rgb = torch.randn(2, 3, 8, 32, 32)
    gradients = []
    for recomputed in (False, True):
        model = configured("slowfast_small", checkpoint_activations=recomputed)
        model(rgb).square().sum().backward()
        gradients.append(model.fast_stem.conv1.weight.grad)
    torch.testing.assert_close(*gradients)


def test_wrong_values():
    for changes, message in (
        ({"num_frames": 3}, "model.alpha=4, which needs clips of 4 frames, not 3; raise sampler"),
        ({"beta": 0.3}, "model.beta=0.3 of model.width=16 is 4.8 channels"),
        ({"depths": [1, 1]}, r"model.depths=\[1, 1\] has 2 entries, not 4"),
        ({"slow_kernels": [1]}, r"model.slow_kernels=\[1\] has 1 entries, not 5"),
        ({"lateral_kernel": 4}, "model.lateral_kernel=4 has no middle: use an odd one"),
    ):
        with pytest.raises(ValueError, match=message):
            configured("slowfast_small", **changes)
    with pytest.raises(ValueError, match=r"need 4 frames, not 2 \(shape \(1, 3, 2, 32, 32\)\)"):
        configured("slowfast_small")(torch.zeros(1, 3, 2, 32, 32))
