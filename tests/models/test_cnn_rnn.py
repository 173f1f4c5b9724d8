import pytest
import torch

from tests.models.contract import check_contract, configured, permutation_error, randomize_norms
from videoclf.models.blocks.sequence_nets import sine_positions

SEQUENCES = ("lstm", "gru", "conv_lstm", "temporal_conv", "transformer")
SMALL = {"hidden_size": 16, "map_channels": 8, "num_layers": 2, "image_size": 64}


def small(sequence="lstm", **changes):
    model = configured("cnn_rnn", sequence=sequence, **{**SMALL, **changes})
    return randomize_norms(model).eval()


def clips(num_frames=6, batch=1):
    return torch.randn(batch, 3, num_frames, 64, 64)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_contract(sequence, bidirectional):
    check_contract(
        lambda: small(sequence, bidirectional=bidirectional, num_frames=4),
        num_frames=4,
        image_size=64,
    )


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_later_frames_change_earlier_logits_only_of_both_directions(sequence, bidirectional):
    model = small(sequence, outputs="every", bidirectional=bidirectional)
    rgb = clips()
    later = rgb.clone()
    later[:, :, 4:] = clips(2)
    with torch.no_grad():
        before, after = model(rgb), model(later)
    assert before.shape == (1, 6, 5)
    assert (after[:, 4:] - before[:, 4:]).abs().max() > 1e-4
    if bidirectional:
        assert (after[:, :4] - before[:, :4]).abs().max() > 1e-6
    else:
        torch.testing.assert_close(after[:, :4], before[:, :4])


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_many_to_one_is_the_last_of_many_to_many(sequence):
    rgb = clips()
    with torch.no_grad():
        last, every = (small(sequence, outputs=outputs)(rgb) for outputs in ("last", "every"))
    torch.testing.assert_close(last, every[:, -1])


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_the_order_of_frames_matters(sequence):
    assert permutation_error(small(sequence), clips(8)) > 1e-4


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("keep_map", [False, True])
def test_forward_is_encode_then_fuse(frozen, keep_map):
    model = small(frozen=frozen, keep_map=keep_map)
    rgb = clips(4, batch=2)
    features = model.encode_frames(rgb.transpose(1, 2).flatten(0, 1))
    assert features.shape == ((8, 512, 2, 2) if keep_map else (8, 512))
    stored = features.reshape(2, 4, *features.shape[1:])
    torch.testing.assert_close(model.fuse(stored), model(rgb))


def test_a_map_tells_where_and_its_average_does_not():
    maps = torch.randn(1, 4, 512, 2, 2)
    moved = maps.clone()
    moved[:, 2] = moved[:, 2].flip(-1)
    with torch.no_grad():
        kept = small(keep_map=True)
        assert (kept.fuse(moved) - kept.fuse(maps)).abs().max() > 1e-4
        pooled = small(keep_map=False)
        averages = pooled.fuse(maps.mean((3, 4))), pooled.fuse(moved.mean((3, 4)))
        torch.testing.assert_close(*averages)


def test_a_frozen_cnn_runs_in_chunks_without_a_graph():
    model = small(frozen=True, frames_at_once=3).train()
    assert not model.cnn.training
    assert model.sequence.training
    before = {name: value.clone() for name, value in model.cnn.state_dict().items()}
    seen = []
    model.cnn.conv1[0].register_forward_hook(
        lambda _, frames, maps: seen.append((len(frames[0]), maps.requires_grad))
    )
    model(clips(5, batch=2)).square().sum().backward()
    assert seen == [(3, False), (3, False), (3, False), (1, False)]
    assert all(parameter.grad is None for parameter in model.cnn.parameters())
    others = [p for name, p in model.named_parameters() if not name.startswith("cnn.")]
    assert others
    assert all(parameter.grad.any() for parameter in others)
    for name, value in model.cnn.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_chunks_do_not_change_the_features():
    frames = torch.randn(5, 3, 64, 64)
    whole, chunked = small(frozen=True), small(frozen=True, frames_at_once=2)
    torch.testing.assert_close(chunked.encode_frames(frames), whole.encode_frames(frames))


def test_an_unfrozen_cnn_learns():
    model = small().train()
    model(clips(4, batch=2)).square().sum().backward()
    assert all(parameter.grad.any() for parameter in model.cnn.parameters())


def test_a_step_may_be_a_short_clip():
    model = small(frames_per_step=2, outputs="every")
    rgb = clips(6)
    with torch.no_grad():
        logits = model(rgb)
        assert logits.shape == (1, 3, 5)
        later = rgb.clone()
        later[:, :, 2:] = 0
        torch.testing.assert_close(model(later)[:, 0], logits[:, 0])
        later[:, :, 1] = 0
        assert (model(later)[:, 0] - logits[:, 0]).abs().max() > 1e-5
    with pytest.raises(
        ValueError, match=r"5 frames has no whole steps .*; set sampler.num_frames=4"
    ):
        model(clips(5))


def test_the_forget_gates_start_where_told():
    rnn = small(forget_gate_bias=1.5).sequence.rnn
    for layer in range(2):
        total = getattr(rnn, f"bias_ih_l{layer}") + getattr(rnn, f"bias_hh_l{layer}")
        assert torch.equal(total[16:32], torch.full((16,), 1.5))
    at_random = small(forget_gate_bias=None).sequence.rnn.bias_ih_l0
    assert at_random[16:32].unique().numel() > 1


def test_a_longer_clip_passes():
    for sequence in SEQUENCES:
        with torch.no_grad():
            assert small(sequence, num_frames=4)(clips(11)).shape == (1, 5)


def test_positions():
    positions = sine_positions(5, 8)
    assert positions.shape == (5, 8)
    assert torch.equal(positions[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    torch.testing.assert_close(positions[3, :2], torch.tensor([3.0, 3.0 / 10]).sin())


def test_any_backbone_of_timm():
    settings = {"keep_map": True, "sequence": "gru"}
    with torch.device("meta"):
        for backbone, shape in (
            ("mobilenetv3_small_050", (8, 2, 2)),
            ("vit_tiny_patch16_224", None),
        ):
            model = configured("cnn_rnn", backbone=backbone, **{**SMALL, **settings})
            assert model.map_shape == (shape or (8, 4, 4))
            assert model(torch.zeros(1, 3, 4, 64, 64)).shape == (1, 5)


def test_wrong_values():
    for changes, message in (
        ({"sequence": "rnn"}, "model.sequence='rnn' is none of lstm, gru, conv_lstm, temporal_co"),
        ({"outputs": "all"}, "model.outputs='all' is none of last, every"),
        ({"frames_at_once": 0}, "model.frames_at_once=0 must be at least 1"),
        ({"frames_per_step": 9}, "model.frames_per_step=9, which needs clips of 9 frames, not 8"),
        ({"backbone": "resnet19"}, "model.backbone='resnet19' is no model of timm .*resnet18"),
        ({"sequence": "temporal_conv", "kernel_size": 2}, "model.kernel_size=2 has no middle"),
        ({"sequence": "transformer", "hidden_size": 12}, "12 must be a multiple of twice .*=4"),
    ):
        with pytest.raises(ValueError, match=message):
            configured("cnn_rnn", **{**SMALL, **changes})
    with pytest.raises(
        ValueError, match=r"have shape \(8, 3, 3\), the model was built for \(8, 2, "
    ):
        small()(torch.zeros(1, 3, 4, 96, 96))
