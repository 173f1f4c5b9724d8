import copy
import json
import sqlite3
import subprocess
import sys

import pytest
import torch

from tests.conftest import PROJECT
from tests.models.contract import configured, randomize_norms
from videoclf.errors import ConfigError
from videoclf.models.blocks.feature_store import FeatureStore, hash_weights

SMALL = {"hidden_size": 16, "map_channels": 8, "image_size": 64, "frozen": True}


def model_of(feature_cache, **changes):
    model = configured("cnn_rnn", feature_cache=feature_cache, **{**SMALL, **changes})
    return randomize_norms(model).train()


def count_frames(model):
    """Return a list that grows by the number of frames of each of the CNN's runs."""
    seen = []
    model.cnn.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    return seen


@pytest.mark.parametrize("frames_per_step", [1, 2])
def test_a_later_epoch_never_runs_the_cnn_and_gives_the_same(tmp_path, frames_per_step):
    settings = {"frames_per_step": frames_per_step, "frames_at_once": 3}
    plain = model_of(None, **settings)
    model = model_of(str(tmp_path / "folder" / "f.sqlite"), **settings)
    seen = count_frames(model)
    rgb = torch.randn(2, 3, 8, 64, 64)
    rgb[1, :, 4:] = rgb[0, :, 4:]  # the clips share half of their frames
    expected = model(rgb)
    torch.testing.assert_close(expected, plain(rgb))
    for epoch in range(2):
        assert torch.equal(model(rgb), expected), epoch
        assert sum(seen) == 12 // frames_per_step
    again = model_of(str(tmp_path / "folder" / "f.sqlite"), **settings)
    seen = count_frames(again)
    assert torch.equal(copy.deepcopy(again)(rgb), expected)
    assert not seen


def test_other_weights_or_another_crop_are_other_features(tmp_path):
    model = model_of(str(tmp_path / "f.sqlite"))
    seen = count_frames(model)
    rgb = torch.randn(1, 3, 4, 64, 64)
    first = model(rgb)
    model(rgb.flip(-1))
    assert sum(seen) == 8
    other = {name: value * 1.1 for name, value in model.state_dict().items()}
    before = hash_weights(model.cnn)
    model.load_state_dict(other)
    assert hash_weights(model.cnn) != before
    assert not torch.equal(model(rgb), first)
    assert sum(seen) == 12


def test_the_sequence_net_still_learns(tmp_path):
    model = model_of(str(tmp_path / "f.sqlite"))
    for _ in range(2):
        model.zero_grad()
        model(torch.ones(1, 3, 4, 64, 64)).square().sum().backward()
        assert model.project.weight.grad.any()
        assert all(parameter.grad is None for parameter in model.cnn.parameters())


def test_two_stores_share_a_file(tmp_path):
    stores = [FeatureStore(tmp_path / "f.sqlite") for _ in range(2)]
    frames = torch.arange(6.0).reshape(3, 2)
    doubled = stores[0].features(frames, "x", lambda new: 2 * new)
    assert torch.equal(doubled, 2 * frames)
    assert torch.equal(stores[1].features(frames, "x", lambda new: 3 * new), doubled)
    assert torch.equal(stores[1].features(frames, "y", lambda new: 3 * new), 3 * frames)
    with sqlite3.connect(tmp_path / "f.sqlite") as database:
        assert database.execute("SELECT count(*) FROM features").fetchone() == (6,)


def test_wrong_values(tmp_path):
    with pytest.raises(ConfigError, match="keeps what a CNN that learns would change; set model.f"):
        model_of(str(tmp_path / "f"), frozen=False)
    (tmp_path / "text").write_text("no database, but long enough to be taken for a damaged one")
    with pytest.raises(ConfigError, match="text cannot be used: file is not a database"):
        model_of(str(tmp_path / "text"))


@pytest.mark.slow
def test_the_memory_of_a_frozen_cnn_does_not_grow_with_the_clip():
    """Eight times the frames: nothing but the clip and its features is added."""

    def megabytes(num_frames):
        command = [sys.executable, "-m", "tests.models.frozen_memory", str(num_frames), "true"]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, timeout=120)
        return json.loads(done.stdout)["megabytes"]

    short, long = megabytes(64), megabytes(512)
    # a copy of the clip in the order of frames takes 24 MB, the maps of 512 frames 4 MB
    assert long - short < 64
