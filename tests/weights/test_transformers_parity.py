"""Random weights that transformers saves give its logits here, through `hf:<folder>`."""

import pytest
import torch

from tests.models.contract import configured
from tests.weights.random_weights import randomized
from videoclf.errors import CheckpointError
from videoclf.weights.loading import load_entry
from videoclf.weights.sources import parse, source_of

transformers = pytest.importorskip(
    "transformers", reason="needs transformers: pip install -e '.[transformers]'"
)
SHAPE = {
    "image_size": 32,
    "num_frames": 4,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 96,
    "id2label": {0: "walk", 1: "run", 2: "sit", 3: "jump", 4: "swim"},
}
CLASSES = tuple(SHAPE["id2label"].values())
NETWORKS = {
    "videomae": lambda: transformers.VideoMAEForVideoClassification(
        transformers.VideoMAEConfig(patch_size=8, tubelet_size=2, layer_norm_eps=1e-6, **SHAPE)
    ),
    "timesformer": lambda: transformers.TimesformerForVideoClassification(
        transformers.TimesformerConfig(patch_size=8, **SHAPE)
    ),
    "vivit": lambda: transformers.VivitForVideoClassification(
        transformers.VivitConfig(tubelet_size=[2, 8, 8], hidden_act="gelu", **SHAPE)
    ),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_saved_gives_the_same_logits(kind, tmp_path):
    theirs = randomized(NETWORKS[kind]())
    theirs.save_pretrained(tmp_path)
    name = f"hf:{tmp_path}"
    card = source_of(parse(name)).card(parse(name))
    assert card.classes == CLASSES
    ours = configured(
        card.model, num_frames=card.num_frames, image_size=card.crop_pixels, **card.model_settings
    ).eval()
    assert "5 of 5 classes" in load_entry(name, ours, class_names=CLASSES, whole=True)
    rgb = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        expected = theirs(rgb.transpose(1, 2)).logits
        found = ours(rgb)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_of_a_pretraining_the_encoder_is_taken(tmp_path):
    config = transformers.VideoMAEConfig(
        patch_size=8, tubelet_size=2, decoder_num_hidden_layers=1, **SHAPE
    )
    theirs = transformers.VideoMAEForPreTraining(config)
    theirs.save_pretrained(tmp_path)
    name = f"hf:{tmp_path}"
    card = source_of(parse(name)).card(parse(name))
    assert card.classes == ()
    ours = configured(card.model, num_frames=4, image_size=32, **card.model_settings)
    said = load_entry(name, ours, class_names=CLASSES)
    assert "as expected after pretraining, left behind: " in said
    assert "0 of 5 classes" in said
    key = "videomae.embeddings.patch_embeddings.projection.weight"
    assert torch.equal(ours.encoder.patch_embed.weight, theirs.state_dict()[key])


def test_other_networks_are_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "xclip"}')
    with pytest.raises(CheckpointError, match="is a xclip, which no model here holds; those that"):
        source_of(parse(f"hf:{tmp_path}")).card(parse(f"hf:{tmp_path}"))
