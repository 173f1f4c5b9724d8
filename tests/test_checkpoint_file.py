import io
import resource

import pytest
import torch

from videoclf import checkpoint_file, checkpoints
from videoclf.errors import CheckpointError, StorageError


@pytest.fixture
def saved(tmp_path):
    archive = io.BytesIO()
    torch.save({"state_dict": {"model.weight": torch.arange(1000.0)}}, archive)
    path = tmp_path / "a.ckpt"
    checkpoint_file.write(archive, path, {"classes": ["größer", "<script>"], "config": {"seed": 1}})
    return path


def test_torch_reads_the_file_as_it_is(saved):
    for mapped in (False, True):
        content = torch.load(saved, weights_only=True, mmap=mapped)
        assert torch.equal(content["state_dict"]["model.weight"], torch.arange(1000.0))


def test_the_description_is_read_without_torch(saved):
    assert checkpoint_file.describe(saved)["classes"] == ["größer", "<script>"]


def test_a_flipped_bit_anywhere_is_found(saved):
    content = saved.read_bytes()
    for place in range(0, len(content), len(content) // 60):
        damaged = bytearray(content)
        damaged[place] ^= 1
        saved.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"damaged|carries no hash"):
            checkpoint_file.verify(saved)


def test_a_truncated_file_is_found(saved):
    content = saved.read_bytes()
    for length in (0, 1, 10, 74, len(content) // 2, len(content) - 1):
        saved.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=str(saved)):
            checkpoints.load(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at .*none.ckpt"):
        checkpoint_file.describe(tmp_path / "none.ckpt")


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    archive = io.BytesIO()
    torch.save({}, archive)
    with pytest.raises(StorageError, match="No space left"):
        checkpoint_file.write(archive, saved, {})
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_save_without_room_keeps_the_one_before(saved):
    """A limit on the size of files stands for a full disk: the kernel refuses the write."""
    archive = io.BytesIO()
    torch.save({"state_dict": {"model.weight": torch.zeros(100_000)}}, archive)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match=r"a.ckpt \(0.4 MB\): .*; the one before it is kept"):
            checkpoint_file.write(archive, saved, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    content = torch.load(saved, weights_only=True)
    assert torch.equal(content["state_dict"]["model.weight"], torch.arange(1000.0))
    assert [path.name for path in saved.parent.iterdir()] == ["a.ckpt"]
