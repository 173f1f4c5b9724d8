"""A run on a file system that fills up: a small one of its own, in memory, mounted for the test."""

import os
import subprocess

import pytest

from tests.conftest import train_tiny
from videoclf.checkpoints import load


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for a few checkpoints of the run below."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_the_checkpoint_before_it_is_kept(small_disk):
    run = small_disk / "run"
    ended = train_tiny(
        run,
        "model.widths=[16,32]",
        "trainer.max_epochs=4",
        "checkpoint.keep_every_n_steps=2",
        cwd=small_disk.parent,
    )
    assert ended.returncode == 6, ended.stderr
    said = ended.stderr.strip().splitlines()[-1]
    assert str(run) in said
    assert "make room" in said
    assert "MB" in said
    whole = [load(path)["global_step"] for path in (run / "checkpoints").glob("*.ckpt")]
    assert whole
    assert not list(run.rglob(".*.part"))
