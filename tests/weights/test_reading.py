"""Files are read without running what they hold."""

import os

import pytest
import torch
from safetensors.torch import save_file

from videoclf.errors import CheckpointError
from videoclf.weights.hashes import check_hash, sha256_of
from videoclf.weights.reading import read_tensors


class Poison:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_poisoned_file_is_refused_and_runs_nothing(tmp_path):
    path, folder = tmp_path / "net.pth", tmp_path / "proof"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": Poison(str(folder))}, path)
    with pytest.raises(CheckpointError, match=r"could run code; it is not loaded; .*save_file"):
        read_tensors(path)
    assert not folder.exists()


@pytest.mark.parametrize("key", [None, "model_state", "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_are_found_where_training_scripts_put_them(key, wrapped, tmp_path):
    weight = torch.randn(2, 3)
    state = {("module." if wrapped else "") + "fc.weight": weight}
    torch.save(state if key is None else {"epoch": 3, key: state}, tmp_path / "net.pyth")
    found = read_tensors(tmp_path / "net.pyth")
    assert list(found) == ["fc.weight"]
    assert torch.equal(found["fc.weight"], weight)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([torch.zeros(1)], "holds a list, no tensors by name"),
        ({}, "holds nothing"),
        ({"a": torch.zeros(1), "epoch": 3}, "holds 'epoch' beside its tensors"),
    ],
)
def test_other_content_is_refused(content, sentence, tmp_path):
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=sentence):
        read_tensors(tmp_path / "net.pth")


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_a_damaged_file_is_named(name, tmp_path):
    path = tmp_path / name
    (save_file if name.endswith("s") else torch.save)({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(CheckpointError, match=f"cannot read .*{name}"):
        read_tensors(path)
    with pytest.raises(CheckpointError, match="no weights at"):
        read_tensors(tmp_path / "none.pth")


def test_a_hash_is_held_against_the_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_of(path).startswith("ba7816bf")
    check_hash(path, "ba7816bf")
    with pytest.raises(CheckpointError, match=r"SHA-256 ba7816bf8f01cfea\.\.\., and its publisher"):
        check_hash(path, "00000000")
