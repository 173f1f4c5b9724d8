"""Checkpoints written in a thread: in order, failures said, a kill at any moment survived."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
import torch

from tests.chaos import other_file_system
from videoclf.checkpoint_writer import CheckpointWriter
from videoclf.checkpoints import SealedCheckpointIO, load
from videoclf.errors import StorageError
from videoclf.whole_checkpoints import newest_checkpoint

NUM_KILLS = 50


def test_order_is_kept_and_little_waits():
    writer, done, begin = CheckpointWriter(asynchronous=True), [], threading.Event()
    writer.do(begin.wait)
    writer.do(lambda: done.append(1))
    assert done == []
    threading.Timer(0.05, begin.set).start()
    writer.do(lambda: done.append(2))  # waits for the first: two may wait
    assert begin.is_set()
    writer.finish()
    assert done == [1, 2]


def test_a_failed_write_is_said_later():
    def full():
        raise StorageError("no room")

    for end in (CheckpointWriter.finish, lambda writer: [writer.do(int) for _ in range(3)]):
        writer = CheckpointWriter(asynchronous=True)
        writer.do(full)
        with pytest.raises(StorageError, match="no room"):
            end(writer)
    with pytest.raises(StorageError, match="no room"):
        CheckpointWriter(asynchronous=False).do(full)


def test_a_removal_waits_for_the_write_before_it(tmp_path):
    saving = SealedCheckpointIO({}, asynchronous=True)
    saving.save_checkpoint({"state_dict": {"w": torch.zeros(1_000_000)}}, tmp_path / "a.ckpt")
    saving.remove_checkpoint(tmp_path / "a.ckpt")
    saving.finish()
    assert list(tmp_path.iterdir()) == []


def save_for_ever(folder, *, asynchronous):
    """Save the weights of step 1, 2, ...; changed right after each save, as a training does."""
    saving = SealedCheckpointIO({"classes": []}, asynchronous=asynchronous)
    weights = torch.zeros(50_000)
    for step in range(1, 1_000_000):
        weights.fill_(step)
        state = {
            "state_dict": {"w": weights},
            "save_point": {"epoch": 0, "batch": step, "step": step},
        }
        saving.save_checkpoint(state, folder / "last.ckpt")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_kills_during_saves_leave_what_can_be_loaded(asynchronous, tmp_path, monkeypatch):
    """Fifty of each, most in the middle of a write; the temporary folder elsewhere."""
    if elsewhere := other_file_system(tmp_path):
        monkeypatch.setenv("TMPDIR", str(elsewhere))
    chance, in_a_save = random.Random(0), 0
    for _ in range(NUM_KILLS):
        child = os.fork()
        if child == 0:
            save_for_ever(tmp_path, asynchronous=asynchronous)
            os._exit(0)
        deadline = time.monotonic() + 60
        while not (tmp_path / "last.ckpt").exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        while not any(tmp_path.glob(".*.part")) and time.monotonic() < deadline:
            pass
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        in_a_save += any(tmp_path.glob(".*.part"))
        newest = newest_checkpoint(tmp_path)
        content = load(newest)
        weights = content["state_dict"]["w"]
        assert (weights == content["save_point"]["step"]).all()
        for part in Path(tmp_path).glob(".*.part"):
            part.unlink()
    assert in_a_save >= NUM_KILLS // 2
