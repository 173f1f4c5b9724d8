import io
import os
import pickle

import pytest
import torch
from torch import nn

from videoclf import checkpoint_file
from videoclf.checkpoints import CheckpointPolicy, SealedCheckpointIO, load, load_model
from videoclf.errors import CheckpointError


class Payload:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def save(model, path):
    state = {f"model.{key}": value for key, value in model.state_dict().items()}
    SealedCheckpointIO({}).save_checkpoint({"state_dict": state}, path)


def test_weights_make_a_round_trip(tmp_path):
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    save(source, tmp_path / "a.ckpt")
    load_model(tmp_path / "a.ckpt", target)
    assert torch.equal(source.weight, target.weight)


def test_a_checkpoint_of_another_model_names_what_differs(tmp_path):
    save(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)), tmp_path / "a.ckpt")
    with pytest.raises(
        CheckpointError, match=r"missing \['bias', 'weight'\], unexpected \['0.bias'"
    ):
        load_model(tmp_path / "a.ckpt", nn.Linear(3, 2))
    save(nn.Linear(4, 2), tmp_path / "b.ckpt")
    with pytest.raises(CheckpointError, match=r"weight \(2, 4\) for \(2, 3\)"):
        load_model(tmp_path / "b.ckpt", nn.Linear(3, 2))


def test_a_pickled_payload_is_refused_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    canary, path = tmp_path / "canary", tmp_path / "evil.ckpt"
    archive = io.BytesIO()
    torch.save({"state_dict": Payload(canary)}, archive, pickle_module=pickle)
    checkpoint_file.write(archive, path, {})
    with pytest.raises(CheckpointError, match="holds objects other than tensors"):
        load(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "most"}, "checkpoint.mode='most' must be"),
        (
            {"mode": "min"},
            "would keep the worst by checkpoint.monitor=val/video_top1_1x1",
        ),
        ({"monitor": "val/video_loss"}, "set checkpoint.mode=min"),
        ({"every_n_steps": 0}, "checkpoint.every_n_steps=0 must be"),
        ({"every_n_minutes": 0}, "checkpoint.every_n_minutes=0 must be"),
        ({"keep_best": 0}, "checkpoint.keep_best=0 must be"),
        ({"keep_every_n_steps": 0}, "checkpoint.keep_every_n_steps=0 must be"),
    ],
)
def test_wrong_values_are_refused(changes, message):
    settings = {"monitor": "val/video_top1_1x1", "mode": "max"}
    settings |= {"every_n_steps": None, "every_n_minutes": None}
    with pytest.raises(ValueError, match=message):
        CheckpointPolicy(**{**settings, **changes})
