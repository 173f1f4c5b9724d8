import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.models.contract import (
    check_contract,
    configured,
    count,
    permutation_error,
    randomize_norms,
)
from videoclf.models.blocks.convolutional_recurrence import (
    GRUCell,
    LSTMCell,
    RecurrentLayer,
    TanhCell,
    state_convolution,
)

TINY = {"widths": [4, 6], "strides": [2, 2], "kernel_size": 3}
TINY_TAPS = {"backbone": "resnet10t", "taps": [0, 2, 4], "widths": [4, 6, 8], "dropout": 0.0}
CELLS = ("tanh", "gru", "lstm")


def layer(cell="gru", **changes):
    torch.manual_seed(0)
    settings = {"inputs": 3, "hidden": 4, "kernel_size": 3, "stride": 1, "input_norm": False}
    return RecurrentLayer(cell=cell, **{**settings, **changes}).eval()


@pytest.mark.parametrize("cell", CELLS)
def test_contract(cell):
    check_contract(lambda: configured("recurrent_cnn", cell=cell, **TINY))


def test_it_may_speak_at_every_frame():
    model = configured("recurrent_cnn", outputs="every", **TINY).eval()
    rgb = torch.randn(2, 3, 5, 32, 32)
    logits = model(rgb)
    assert logits.shape == (2, 5, 5)
    last = configured("recurrent_cnn", outputs="last", **TINY).eval()
    torch.testing.assert_close(last(rgb), logits[:, -1])
    torch.testing.assert_close(model.classifier(model.features(rgb)), logits.mean(1))


@pytest.mark.parametrize("cell", CELLS)
def test_later_frames_do_not_change_earlier_logits(cell):
    model = configured("recurrent_cnn", outputs="every", cell=cell, **TINY).eval()
    rgb = torch.randn(1, 3, 6, 32, 32)
    later = rgb.clone()
    later[:, :, 4:] = torch.randn(1, 3, 2, 32, 32)
    with torch.no_grad():
        before, after = model(rgb), model(later)
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert (after[:, 4:] - before[:, 4:]).abs().amax() > 1e-4


@pytest.mark.parametrize("cell", CELLS)
def test_a_stream_of_frames_needs_only_the_state(cell):
    run = layer(cell)
    maps = torch.randn(1, 5, 3, 6, 6)
    states, _ = run(maps)
    direction = run.directions[0]
    state = torch.zeros(1, direction.cell.num_states * 4, 6, 6)
    for step in range(5):
        state = direction.cell(direction.read(maps[:, step]), state)
        torch.testing.assert_close(states[:, step], state[:, :4])


@pytest.mark.parametrize("cell", CELLS)
def test_order_and_memory(cell):
    model = configured("recurrent_cnn", cell=cell, **TINY)
    rgb = torch.randn(1, 3, 8, 32, 32)
    assert permutation_error(model, rgb) > 1e-3
    first = rgb.clone()
    first[:, :, 0] = 0
    with torch.no_grad():
        assert (model(first) - model(rgb)).abs().max() > 1e-7


def test_a_tanh_step_is_its_equation():
    cell = TanhCell(4, 3)
    read, state = torch.randn(2, 4, 5, 5), torch.randn(2, 4, 5, 5)
    expected = torch.tanh(read + F.conv2d(state, cell.recur.weight, padding=1))
    torch.testing.assert_close(cell(read, state), expected)


def test_on_one_pixel_the_cells_are_those_of_torch():
    # a 3x3 filter on one pixel is its middle: the matrix of an ordinary RNN
    state = torch.randn(2, 4, 1, 1)
    inputs = torch.randn(2, 3)

    torch.manual_seed(0)
    lstm, plain = LSTMCell(4, 3), nn.LSTMCell(3, 4, bias=False)
    plain.weight_hh.data = lstm.recur.weight.data[:, :, 1, 1]
    memory = torch.randn(2, 4, 1, 1)
    read = (inputs @ plain.weight_ih.T)[:, :, None, None]
    hidden, kept = plain(inputs, (state[:, :, 0, 0], memory[:, :, 0, 0]))
    found = lstm(read, torch.cat([state, memory], dim=1))
    torch.testing.assert_close(found[:, :, 0, 0], torch.cat([hidden, kept], dim=1))

    gru = GRUCell(4, 3)
    read = torch.randn(2, 12, 1, 1)
    (u_z, u_r), u_c = gru.recur_gates.weight[:, :, 1, 1].split(4), gru.recur_candidate.weight
    h = state[:, :, 0, 0]
    w_z, w_r, w_c = read[:, :, 0, 0].split(4, dim=1)
    z, r = torch.sigmoid(w_z + h @ u_z.T), torch.sigmoid(w_r + h @ u_r.T)
    candidate = torch.tanh(w_c + (r * h) @ u_c[:, :, 1, 1].T)
    torch.testing.assert_close(gru(read, state)[:, :, 0, 0], (1 - z) * h + z * candidate)


def test_a_step_does_not_enlarge_the_state():
    convolution = state_convolution(6, 12, 3)
    state = torch.randn(1, 6, 9, 9)
    for _ in range(20):  # towards the state that grows most
        grown = F.conv_transpose2d(convolution(state), convolution.weight, padding=1)
        state = grown / grown.norm()
    assert convolution(state)[:, :6].norm() <= 1 + 1e-5
    assert convolution(state)[:, 6:].norm() <= 1 + 1e-5


@pytest.mark.parametrize("input_norm", [False, True])
def test_the_forget_gate_starts_open(input_norm):
    direction = layer("lstm", forget_gate_bias=2.0, input_norm=input_norm).directions[0]
    biases = (direction.norm if input_norm else direction.read).bias
    assert torch.equal(biases[4:8], torch.full((4,), 2.0))
    assert not (biases[:4] == 2).any()


def test_both_directions():
    run = layer(bidirectional=True)
    maps = torch.randn(2, 4, 3, 5, 5)
    states, ends = run(maps)
    assert states.shape == (2, 4, 8, 5, 5)
    torch.testing.assert_close(ends, torch.cat([states[:, -1, :4], states[:, 0, 4:]], dim=1))
    ahead, back = run.directions
    torch.testing.assert_close(back(maps)[:, 0], states[:, 0, 4:])
    back.load_state_dict(ahead.state_dict())
    torch.testing.assert_close(back(maps.flip(1)).flip(1), ahead(maps))


def test_wrong_values():
    for changes, message in (
        ({"cell": "rnn"}, "model.cell='rnn' is none of tanh, gru, lstm"),
        ({"kernel_size": 4}, "model.kernel_size=4 has no middle: use an odd one"),
        ({"strides": [2]}, r"model.widths=\[16, 32, 64\] and model.strides=\[2\] must have equal"),
        ({"outputs": "all"}, "model.outputs='all' is none of last, every"),
    ):
        with pytest.raises(ValueError, match=message):
            configured("recurrent_cnn", **changes)
    with pytest.raises(ValueError, match=r"\(B, 3, T, H, W\), not \(1, 4, 3, 32, 32\)"):
        configured("recurrent_cnn", **TINY)(torch.zeros(1, 4, 3, 32, 32))


# GRU-RCN -------------------------------------------------------------------------------------


def taps(**changes):
    return configured("gru_rcn", **{**TINY_TAPS, **changes})


def test_gru_rcn_has_a_classifier_a_tap():
    model = taps().eval()
    rgb = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        logits, features = model(rgb), model.features(rgb)
    assert logits.shape == (2, 3, 5)
    assert features.shape == (2, model.classifier.in_features)
    for tap, columns in enumerate((slice(0, 4), slice(4, 10), slice(10, 18))):
        own = F.linear(
            features[:, columns], model.classifier.weight[:, columns], model.classifier.bias
        )
        torch.testing.assert_close(logits[:, tap], own)


def test_gru_rcn_has_five_taps_of_the_published_widths():
    with torch.device("meta"):
        model = configured("gru_rcn", image_size=224)
        clip = torch.zeros(1, 3, 2, 64, 64)
        assert model(clip).shape == (1, 5, 5)
        assert model.features(clip).shape == (1, 64 + 128 + 256 + 256 + 512)
    inputs = (64, 64, 128, 256, 512)
    widths = (64, 128, 256, 256, 512)
    expected = sum(
        9 * (w * hidden + hidden * hidden) * 3 + 3 * hidden
        for w, hidden in zip(inputs, widths, strict=True)
    )
    assert count(model.layers) == expected
    assert model.dropout.p == 0.7


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gru_rcn_trains_all_parameters_and_hears_the_order(stacked, bidirectional):
    model = randomize_norms(taps(stacked=stacked, bidirectional=bidirectional))
    rgb = torch.randn(2, 3, 6, 32, 32)
    model(rgb).square().sum().backward()
    assert all(parameter.grad.any() for parameter in model.parameters())
    assert permutation_error(model, rgb) > 1e-3


def test_the_coarse_taps_of_a_stacked_net_hear_of_the_fine_ones():
    rgb = torch.randn(1, 3, 3, 32, 32)
    for stacked in (False, True):
        model = taps(stacked=stacked).eval()
        before = model(rgb)
        with torch.no_grad():
            model.layers[0].directions[0].read.bias += 1
        changed = (model(rgb) - before).abs().amax(dim=(0, 2)) > 1e-6
        assert changed.tolist() == [True, stacked, stacked]


def test_a_frozen_cnn_has_no_gradients_and_keeps_its_statistics():
    model = taps(frozen=True).train()
    before = {name: value.clone() for name, value in model.cnn.state_dict().items()}
    model(torch.randn(2, 3, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is None for parameter in model.cnn.parameters())
    assert all(parameter.grad is not None for parameter in model.layers.parameters())
    for name, value in model.cnn.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not model.cnn.training
    assert model.layers.training


def test_wrong_taps():
    with pytest.raises(ValueError, match=r"model.taps=\[0\] and model.widths=\[4, 6, 8\] must"):
        taps(taps=[0])
    with pytest.raises(ValueError, match=r"'resnet10t' has no feature maps model.taps=\[0, 1, 9\]"):
        taps(taps=[0, 1, 9])
    with pytest.raises(ValueError, match=r"'resnet1' is no model of timm .* resnet18"):
        taps(backbone="resnet1")
