"""The peers' files are read in every format they are saved in; what could run code is refused."""

import os
import pickle
import warnings

import pytest
import torch
from safetensors.torch import save_file

from tests.weights.peer_networks import MISSING
from videoclf.errors import CheckpointError
from videoclf.weights.reading import read_tensors

WEIGHT = {"head.projection.weight": torch.arange(6.0).reshape(2, 3)}


class Poison:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pyth_file_in_both_formats(zipped, tmp_path):
    path = tmp_path / "checkpoint_epoch_00196.pyth"
    content = {"epoch": 195, "model_state": WEIGHT, "optimizer_state": {}, "cfg": "A: 1"}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert torch.equal(read_tensors(path)["head.projection.weight"], *WEIGHT.values())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_poisoned_one_in_both_formats(zipped, tmp_path):
    path, folder = tmp_path / "a.pyth", tmp_path / "proof"
    content = {"model_state": WEIGHT, "cfg": Poison(str(folder))}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"could run code; it is not loaded"):
        read_tensors(path)
    assert not folder.exists()


def test_a_caffe2_pickle_is_refused_with_the_ways_around_it(tmp_path):
    path, folder = tmp_path / "SLOWFAST_8x8_R50.pkl", tmp_path / "proof"
    path.write_bytes(pickle.dumps({"blobs": Poison(str(folder))}))
    with pytest.raises(
        CheckpointError, match=r"Caffe2.*PyTorchVideo's file.*CHECKPOINT_TYPE caffe2"
    ):
        read_tensors(path)
    assert not folder.exists()


@pytest.mark.slow
def test_a_checkpoint_of_mmactions_training_is_refused_and_can_be_converted(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mmengine = pytest.importorskip("mmengine.logging", reason=MISSING.format("MMAction2"))
        history = mmengine.HistoryBuffer([1.0, 2.0], [1, 1])
    path = tmp_path / "epoch_1.pth"
    state = {"cls_head.fc_cls.weight": torch.ones(2, 3)}
    hub = {"log_scalars": {"train/loss": history}}
    torch.save({"meta": {"epoch": 1}, "state_dict": state, "message_hub": hub}, path)
    with pytest.raises(CheckpointError, match=r"could run code.*\['state_dict'\], new\)"):
        read_tensors(path)
    trusted = torch.load(path, weights_only=False)["state_dict"]
    save_file(trusted, tmp_path / "net.safetensors")
    assert list(read_tensors(tmp_path / "net.safetensors")) == list(state)
