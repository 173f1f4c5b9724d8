"""Probes of frozen backbones: what learns, what is cached, what is refused."""

import json
import sqlite3

import pyarrow.parquet as pq
import pytest
import torch

from tests.conftest import run_script
from tests.forked_runs import train_forked
from tests.models.contract import configured, randomize_norms
from videoclf.build import build
from videoclf.errors import ConfigError
from videoclf.freezing import freeze_part
from videoclf.lora import LowRankAdaptation
from videoclf.models.blocks.attentive_pool import AttentivePool
from videoclf.models.probes import AttentiveProbe, LinearProbe

SMALL = {
    "timesformer_small": {"depth": 2},
    "vivit_small": {"depth": 2},
    "r3d_18": {"widths": [4, 8, 8, 16], "blocks": [1, 1, 1, 1]},
    "resnet_3d_small": {"stem_width": 4},
}
#: Shape of the tokens of two clips of 8 frames and 32 pixels.
TOKENS = {
    "timesformer_small": (2, 1 + 8 * 16, 96),
    "vivit_small": (2, 1 + 4, 96),
    "r3d_18": (2, 1 * 2 * 2, 16),
    "resnet_3d_small": (2, 8 * 1 * 1, 128),
}


def backbone(name, seed=0, **changes):
    return randomize_norms(configured(name, seed=seed, **{**SMALL[name], **changes}))


def linear(model, feature_cache=None):
    torch.manual_seed(0)
    return LinearProbe(backbone=model, num_classes=5, feature_cache=feature_cache)


def attentive(model, feature_cache=None):
    torch.manual_seed(0)
    return AttentiveProbe(
        backbone=model, num_classes=5, num_heads=4, mlp_ratio=2.0, feature_cache=feature_cache
    )


def count_clips(probe):
    """Return a list that grows by the number of clips that the backbone is given."""
    seen, method = [], getattr(probe.backbone, probe.reads)
    setattr(probe.backbone, probe.reads, lambda rgb: (seen.append(len(rgb)), method(rgb))[1])
    return seen


@pytest.mark.parametrize("name", SMALL)
def test_tokens_are_what_features_are_made_of(name):
    model = backbone(name).eval()
    rgb = torch.randn(2, 3, 8, 32, 32)
    tokens, features = model.tokens(rgb), model.features(rgb)
    assert tokens.shape == TOKENS[name]
    has_class = name in ("timesformer_small", "vivit_small")
    torch.testing.assert_close(tokens[:, 0] if has_class else tokens.mean(1), features)


@pytest.mark.parametrize("attention", ["joint", "space"])
def test_tokens_of_timesformer(attention):
    model = backbone("timesformer_small", attention=attention).eval()
    places = 1 + 8 * 16 if attention == "joint" else 8 * (1 + 16)
    assert model.tokens(torch.randn(2, 3, 8, 32, 32)).shape == (2, places, 96)


@pytest.mark.parametrize("factorisation", ["joint", "factorised_attention", "factorised_heads"])
def test_tokens_of_vivit(factorisation):
    model = backbone("vivit_small", factorisation=factorisation).eval()
    rgb = torch.randn(2, 3, 8, 32, 32)
    tokens = model.tokens(rgb)
    assert tokens.shape == (2, (factorisation == "joint") + 4 * 16, 96)
    pooled = tokens[:, 0] if factorisation == "joint" else tokens.mean(1)
    torch.testing.assert_close(pooled, model.features(rgb))


@pytest.mark.parametrize("probe_of", [linear, attentive])
@pytest.mark.parametrize("name", SMALL)
def test_only_the_head_learns_and_the_backbone_stays_in_evaluation(name, probe_of):
    probe = probe_of(backbone(name)).train()
    before = {key: value.clone() for key, value in probe.backbone.state_dict().items()}
    rgb = torch.randn(2, 3, 8, 32, 32)
    probe(rgb).square().sum().backward()
    learning = [key for key, p in probe.named_parameters() if p.grad is not None]
    assert learning
    assert not [key for key in learning if key.startswith("backbone.")]
    assert not any(module.training for module in probe.backbone.modules())
    for key, value in probe.backbone.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not [key for key in before if key.startswith("classifier")]
    assert freeze_part(probe, "backbone") == []
    torch.testing.assert_close(probe.classifier(probe.eval().features(rgb)), probe(rgb))


def test_a_linear_probe_gives_what_a_frozen_model_gives():
    model = backbone("timesformer_small").eval()
    rgb = torch.randn(2, 3, 8, 32, 32)
    expected = model(rgb)
    head = model.classifier
    probe = linear(model)
    probe.classifier.load_state_dict(head.state_dict())
    torch.testing.assert_close(probe(rgb), expected)


def test_the_pool_by_hand():
    """Equal tokens: whatever the attention, the answer is their value."""
    torch.manual_seed(0)
    pool = AttentivePool(8, 2, 2.0)
    token = torch.randn(3, 1, 8)
    answer = pool.query[0] + pool.proj(pool.kv(pool.norm1(token[:, 0]))[:, 8:])
    expected = answer + pool.mlp(pool.norm2(answer))
    torch.testing.assert_close(pool(token.expand(-1, 7, -1)), expected)


@pytest.mark.parametrize("probe_of", [linear, attentive])
def test_the_cache_gives_the_same_and_spares_the_backbone(tmp_path, probe_of):
    file = str(tmp_path / "features.sqlite")
    plain, cached = (probe_of(backbone("r3d_18"), cache).train() for cache in (None, file))
    seen = count_clips(cached)
    rgb = torch.randn(3, 3, 8, 32, 32)
    for epoch in range(3):
        assert torch.equal(cached(rgb), plain(rgb)), epoch
    cached(rgb[:1].flip(-1))
    assert sum(seen) == 4
    again = probe_of(backbone("r3d_18"), file)
    seen = count_clips(again)
    assert torch.equal(again(rgb), plain(rgb))
    assert not seen
    other = probe_of(backbone("r3d_18", seed=1), file)
    seen = count_clips(other)
    assert not torch.equal(other.features(rgb), plain.features(rgb))
    assert sum(seen) == 3
    other.load_state_dict(plain.state_dict())
    assert torch.equal(other(rgb), plain(rgb))
    assert sum(seen) == 3


def test_what_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"SlowFusion has no method `tokens`, which gives its tok"):
        attentive(configured("slow_fusion"))
    with pytest.raises(ValueError, match=r"reads rgb clips, and TwoStream.forward takes rgb, flow"):
        linear(configured("two_stream", backbone="test_resnet"))
    with pytest.raises(ValueError, match="tokens of width 16 cannot be shared by head.num_heads=5"):
        AttentivePool(16, 5, 2.0)
    (tmp_path / "text").write_text("no database, but long enough to be taken for a damaged one")
    with pytest.raises(ValueError, match="head.feature_cache=.*text cannot be used: file is not a"):
        linear(backbone("r3d_18"), str(tmp_path / "text"))
    adaptation = LowRankAdaptation(rank=2, alpha=1, dropout=0.0, targets=["qkv"])
    pytest.importorskip("peft", reason="needs peft: pip install -e '.[lora]'")
    with pytest.raises(ConfigError, match="changes a backbone that a probe keeps as it is"):
        adaptation.apply(linear(backbone("timesformer_small")))


@pytest.mark.parametrize("head", ["linear", pytest.param("attentive", marks=pytest.mark.slow)])
def test_runs_with_and_without_the_cache_are_equal(tmp_path, head):
    """The same clips in every epoch, flips included, read from the file from the second one on."""
    settings = (
        "model=r3d_18",
        "model.widths=[4,8,8,16]",
        "model.blocks=[1,1,1,1]",
        f"head={head}",
        "transform=standard",
        "sampler.num_frames=8",
        "trainer.max_epochs=2",
        "data.clips_per_video=2",
    )
    store = tmp_path / "store.sqlite"
    for name in ("first", "second"):  # the second run finds all in the file
        train_forked(tmp_path / name, *settings, f"head.feature_cache={store}")
        with sqlite3.connect(store) as database:  # 2 of 32 train, 1 of 8 val, 1 of 16 test videos
            assert database.execute("SELECT count(*) FROM features").fetchone() == (64 + 8 + 16,)
    tables = [pq.read_table(tmp_path / n / "predictions.parquet") for n in ("first", "second")]
    first, second = (table["probabilities"].to_pylist() for table in tables)
    assert first == second
    evaluated = run_script(
        "evaluate.py",
        f"checkpoint={tmp_path / 'first' / 'checkpoints' / 'best.ckpt'}",
        "head.feature_cache=null",
        "views.num_clips=2",
        f"run_dir={tmp_path / 'without'}",
        cwd=tmp_path,
    )
    assert evaluated.returncode == 0, evaluated.stderr
    results = [
        json.loads((tmp_path / name / "results.json").read_text())["metrics"]
        for name in ("first", "without")
    ]
    assert results[0] == pytest.approx(results[1])


def test_mixing_and_the_cache_exclude_each_other(tmp_path):
    store = tmp_path / "store.sqlite"
    said = train_forked(
        tmp_path / "run",
        "model=r3d_18",
        "head=linear",
        f"head.feature_cache={store}",
        "transform=strong",
        code=2,
    )
    assert f"head.feature_cache={store} keeps the features of whole clips" in said
    assert not store.exists()


def test_head_yaml_builds_around_a_model():
    node = {"_target_": "videoclf.models.probes.LinearProbe", "num_classes": 3}
    model = backbone("r3d_18")
    probe = build({**node, "feature_cache": None}, name="head", backbone=model)
    assert probe.backbone is model
    assert probe.classifier.out_features == 3
