"""The same weights give the output of VideoMAE in transformers."""

import numpy as np
import pytest
import torch

from tests.models.contract import configured
from videoclf.models.masked_autoencoder import MaskedAutoencoder, draw_tubes, reconstruction_loss

transformers = pytest.importorskip(
    "transformers", reason="needs transformers: pip install -e '.[transformers]', or make test-all"
)
SHAPE = {"width": 64, "depth": 2, "num_heads": 4, "mlp_ratio": 4.0, "positions": "line"}
#: our names -> theirs; {} is the number of a block
BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
ENCODER = {"encoder.patch_embed": "videomae.embeddings.patch_embeddings.projection"}
FINE_TUNING = {**ENCODER, "mean_norm": "fc_norm", "classifier": "classifier"}
PRETRAINING = {
    **ENCODER,
    "norm": "videomae.layernorm",
    "to_decoder": "encoder_to_decoder",
    "decoder_norm": "decoder.norm",
    "to_pixels": "decoder.head",
}
BLOCKS = {"encoder.blocks": "videomae.encoder.layer", "decoder": "decoder.decoder_layers"}


def settings(**changes):
    return transformers.VideoMAEConfig(
        image_size=32,
        patch_size=8,
        num_frames=8,
        tubelet_size=2,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        decoder_hidden_size=32,
        decoder_num_attention_heads=2,
        decoder_num_hidden_layers=2,
        decoder_intermediate_size=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-6,
        num_labels=5,
        **changes,
    )


def randomized(network):
    """Give norms and biases values as after training, so that none is the identity."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


def take_weights(ours, theirs, outer):
    """Copy their weights into our network, each of ours exactly once."""
    state, taken = theirs.state_dict(), {}
    for name in ours.state_dict():
        module, _, kind = name.rpartition(".")
        if module in outer:
            taken[name] = state[f"{outer[module]}.{kind}"]
            continue
        start = next((start for start in BLOCKS if name.startswith(f"{start}.")), None)
        if start is None:
            taken[name] = state[name]  # the mask token
            continue
        number, _, inner = name.removeprefix(f"{start}.").partition(".")
        block = f"{BLOCKS[start]}.{number}"
        attention = f"{block}.attention.attention"
        if inner == "attn.qkv.weight":
            taken[name] = torch.cat(
                [state[f"{attention}.{part}.weight"] for part in ("query", "key", "value")]
            )
        elif inner in ("attn.q_bias", "attn.v_bias"):
            part = "query" if "q_" in inner else "value"
            taken[name] = state[f"{attention}.{part}.bias"]
        else:
            module, _, kind = inner.rpartition(".")
            taken[name] = state[f"{block}.{BLOCK[module]}.{kind}"]
    ours.load_state_dict(taken)
    return ours.eval()


def test_fine_tuning_network():
    config = settings(use_mean_pooling=True)
    theirs = randomized(transformers.VideoMAEForVideoClassification(config))
    ours = take_weights(configured("videomae_small", **SHAPE), theirs, FINE_TUNING)
    rgb = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        expected = theirs(rgb.transpose(1, 2)).logits
        torch.testing.assert_close(ours(rgb), expected, atol=1e-4, rtol=0)


def test_pretraining_network():
    # tokens have a norm of their own where they are not averaged
    changes = {"use_mean_pooling": False, "norm_pix_loss": True}
    theirs = randomized(transformers.VideoMAEForPreTraining(settings(**changes)))
    model = configured("videomae_small", **SHAPE)
    ours = MaskedAutoencoder(encoder=model.encoder, decoder_depth=2)
    take_weights(ours, theirs, PRETRAINING)
    hidden = np.stack([draw_tubes((4, 4, 4), 0.75, np.random.default_rng(n)) for n in range(2)])
    hidden = torch.from_numpy(hidden)
    mean, std = (
        torch.tensor(values)[:, None, None, None]
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    pixels = torch.rand(2, 3, 8, 32, 32)
    rgb = (pixels - mean) / std
    with torch.no_grad():
        expected = theirs(rgb.transpose(1, 2), bool_masked_pos=hidden)
        found = ours(rgb, hidden)
        torch.testing.assert_close(found, expected.logits, atol=1e-4, rtol=0)
        losses = reconstruction_loss(found, pixels, hidden, ours.encoder, normalised=True)
        torch.testing.assert_close(losses.mean(), expected.loss, atol=1e-4, rtol=0)
