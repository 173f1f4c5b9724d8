"""RAFT's plumbing, with random weights: batches, padding, and weights that are not there."""

import pickle

import numpy as np
import pytest
import torch
from torchvision.models.optical_flow import raft_small

from videoclf.errors import CheckpointError
from videoclf.flow.raft import Raft


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("raft") / "small.pth"
    torch.save(raft_small().state_dict(), file)
    return str(file)


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).integers(0, 256, (4, 60, 100, 3), np.uint8)


def test_batches_give_what_single_pairs_give(weights, frames):
    raft = Raft(size="small", weights=weights, updates=2, batch_pairs=2, device="cpu")
    fields = raft.estimate(frames)
    assert (fields.shape, fields.dtype) == ((3, 60, 100, 2), np.float32)
    copy = pickle.loads(pickle.dumps(raft))
    assert len(pickle.dumps(raft)) < 1000  # the network stays behind
    each = np.concatenate([copy.estimate(frames[t : t + 2]) for t in range(3)])
    assert np.abs(fields - each).max() < 1e-3
    assert fields.std() > 0.1
    backward = raft.estimate(frames[::-1], backward=True)[::-1]
    assert np.abs(fields - backward).max() < 1e-3


def test_it_is_torchvisions_network(weights):
    frames = np.random.default_rng(1).integers(0, 256, (2, 128, 136, 3), np.uint8)
    found = Raft(size="small", weights=weights, updates=2, device="cpu").estimate(frames)
    network = raft_small().eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    pair = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255 * 2 - 1
    with torch.inference_mode():
        expected = network(pair[:1], pair[1:], num_flow_updates=2)[-1]
    assert np.abs(found - expected.permute(0, 2, 3, 1).numpy()).max() < 1e-3


def test_missing_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    sentence = (
        r"the weights of RAFT are not at .*checkpoints/raft_large_C_T_SKHT_V2-.*\.pth; "
        r"fetch https://.* and put it there, or name another file by weights"
    )
    with pytest.raises(CheckpointError, match=sentence):
        Raft()


def test_weights_of_something_else(tmp_path, weights, frames):
    (tmp_path / "text.pth").write_text("no weights")
    for file, size in ((tmp_path / "text.pth", "small"), (weights, "large")):
        raft = Raft(size=size, weights=str(file), device="cpu")
        with pytest.raises(CheckpointError, match=f"holds no weights of torchvision's raft_{size}"):
            raft.estimate(frames)


def test_settings_out_of_range(weights):
    with pytest.raises(ValueError, match="raft: size 'big' is none of small, large"):
        Raft(size="big", weights=weights)
    with pytest.raises(ValueError, match="raft: updates must be at least 1, not 0"):
        Raft(size="small", weights=weights, updates=0)
