"""Receptive fields against those that arithmetic gives."""

import pytest
import torch
from torch import nn

from tests.models.contract import configured
from videoclf.profiling.fields import measure_fields
from videoclf.profiling.layers import Layers


def fields(model, num_frames, crop_pixels, *, depth=None):
    shape = (3, num_frames, crop_pixels, crop_pixels)
    seen = measure_fields(model, {"rgb": shape}, Layers(model, depth))
    return {layer.name: (layer.output, layer.field.size) for layer in seen}


class Frames(nn.Module):
    """A 2D network on the frames of a clip."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, rgb):
        return self.layers(rgb.transpose(1, 2).flatten(0, 1))


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        (
            "toy_late_fusion",
            [
                ((12, 20, 64, 64), (1, 3, 3)),
                ((12, 20, 16, 16), (1, 6, 6)),
                ((24, 20, 16, 16), (1, 14, 14)),
                ((24,), (20, 64, 64)),
            ],
        ),
        (
            "toy_early_fusion",
            [
                ((12, 1, 64, 64), (20, 3, 3)),
                ((12, 1, 16, 16), (20, 6, 6)),
                ((24, 1, 16, 16), (20, 14, 14)),
                ((24,), (20, 64, 64)),
            ],
        ),
        (
            "toy_cnn_3d",
            [
                ((12, 20, 64, 64), (3, 3, 3)),
                ((12, 5, 16, 16), (6, 6, 6)),
                ((24, 5, 16, 16), (14, 14, 14)),
                ((24,), (20, 64, 64)),
            ],
        ),
    ],
)
def test_the_toy_table(name, rows):
    found = fields(configured(name, num_frames=20, image_size=64), 20, 64)
    assert list(found.values())[:4] == rows


def test_a_vgg_stack():
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()]
    layers += [nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 8, 3, dilation=2)]
    found = fields(Frames(*layers), 2, 48)
    # 3, +2 -> 5, pool +1 -> 6, then two pixels a step: +4 -> 10, dilated +8 -> 18
    sizes = [size for _, size in found.values()]
    assert sizes == [(1, 3, 3), (1, 5, 5), (1, 6, 6), (1, 10, 10), (1, 18, 18)]


def test_c3d_grows_by_its_poolings():
    found = fields(configured("c3d_small", num_frames=16, image_size=112), 16, 112)
    times = [size[0] for _, size in found.values()]
    # conv 3; pool1 leaves time; +2 -> 5; pool 2 -> 6; +4 -> 10; pool -> 12; then the whole clip
    assert times[:6] == [3, 3, 5, 6, 10, 12]
    edges = [size[1] for _, size in found.values()]
    assert edges[:6] == [3, 4, 8, 10, 18, 22]


def test_r3d_18():
    found = fields(configured("r3d_18", num_frames=16, image_size=112), 16, 112)
    assert found["stem.conv"] == ((64, 16, 56, 56), (3, 7, 7))
    assert found["stages.0.1"] == ((64, 16, 56, 56), (11, 23, 23))
    # 11 frames, then 3x3x3 at strides 1 (+2) and 2 (+4): cut at the clip's 16
    assert found["stages.1.0"] == ((128, 8, 28, 28), (16, 35, 35))


def test_dilated_causal_convolutions():
    model = configured("cnn_rnn", num_frames=16, sequence="temporal_conv", num_layers=3)
    found = fields(model, 16, 32)
    assert found["classifier"][1][0] == 1 + 2 * (1 + 2 + 4)  # frames before the last, and itself


def test_recurrence_sees_what_came_before():
    found = fields(configured("cnn_rnn", num_frames=9), 9, 32)
    assert found["project"][1][0] == 1
    assert found["classifier"][1][0] == 9


def test_a_frozen_network_is_seen_through():
    found = fields(configured("cnn_rnn", num_frames=4, frozen=True), 4, 32)
    assert found["classifier"][1] == (4, 32, 32)


def test_attention_is_global_and_a_mask_hides_the_future():
    model = configured("cnn_rnn", num_frames=9, sequence="transformer")
    found = fields(model, 9, 32)
    assert found["sequence.encoder"][1][0] == 5  # the middle step: itself and the four before
    assert found["classifier"][1][0] == 9
    model = configured(
        "resnet_3d_small", num_frames=8, non_local_places=[["res2", 0]], temporal_kernels=[[1]] * 4
    )
    found = fields(model, 8, 32, depth=2)
    assert found["res2.blocks.0"][1][0] == 3  # the stem's three frames
    assert found["res2.non_local.0"][1] == (8, 32, 32)


def test_two_pathways_meet():
    found = fields(configured("slowfast_4x16_r50", num_frames=32), 32, 32)
    assert found["slow_stem"][1][0] == 1
    assert found["fast_stem"][1][0] == 5
    assert found["laterals.0"][1][0] == 9  # 5 windows of 5 fast frames
    assert found["slow_stages.0"][1][0] == 9  # what comes from the fast pathway


def test_skipped_frames_are_told_apart():
    model = configured("karpathy_late", num_frames=16, image_size=32)
    layers = measure_fields(model, {"rgb": (3, 16, 32, 32)}, Layers(model))
    field = layers[-1].field
    assert field.num_frames == 16
    assert sum(field.frames) == 2


def test_a_network_that_writes_into_its_maps():
    class Shift(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv3d(3, 8, 1)
            self.second = nn.Conv3d(8, 8, 1)

        def forward(self, rgb):
            maps = self.first(rgb)
            maps[:, :2, 1:] = maps[:, :2, :-1].clone()  # two channels come a frame later
            return self.second(maps)

    model = Shift()
    with pytest.raises(RuntimeError, match="single memory location"):
        fields(model, 6, 8)
    layers = measure_fields(model, {"rgb": (3, 6, 8, 8)}, Layers(model), repeat_views=False)
    assert layers[-1].field.size == (2, 1, 1)


def test_nothing_is_changed():
    model = configured("slow_fusion").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    fields(model, 8, 32)
    assert model.training
    torch.testing.assert_close(dict(model.state_dict()), before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module._forward_hooks for module in model.modules())
