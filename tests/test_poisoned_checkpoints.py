"""Checkpoints that would run code when they are loaded: refused with exit code 5, nothing run."""

import http.server
import pickle
import shutil
import threading
from pathlib import Path

import pytest
import torch

import videoclf
from tests.conftest import run_script
from tests.poison import POISON
from tests.resuming import fit
from tests.small_training import Task
from videoclf import checkpoint_file
from videoclf.checkpoints import load
from videoclf.errors import CheckpointError
from videoclf.init_from import start_from
from videoclf.whole_checkpoints import newest_checkpoint


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    """Whatever asks torch for unsafe loading is not heard, and afterwards there is no canary."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    yield
    assert not (tmp_path / "canary").exists()


@pytest.fixture
def best(trained_run):
    return trained_run / "checkpoints" / "best.ckpt"


def test_the_payloads_are_live(best, tmp_path):
    """Read without care they leave the canary: the other tests can fail."""
    for kind in ("payload for weights", "payload beside the weights", "legacy format"):
        path = POISON[kind](best, tmp_path / f"{kind}.ckpt")
        torch.load(path, weights_only=False)
        (tmp_path / "canary").unlink()
    for kind in ("plain pickle", "pickle without a hash", "pickle before an archive"):
        with POISON[kind](best, tmp_path / f"{kind}.ckpt").open("rb") as file:
            pickle.load(file)
        (tmp_path / "canary").unlink()


@pytest.mark.filterwarnings("ignore:'torch.load' received a zip file that looks like a TorchScript")
@pytest.mark.parametrize("kind", POISON)
def test_none_is_loaded(kind, best, tmp_path):
    path = POISON[kind](best, tmp_path / "x.ckpt")
    ways = [load, lambda x: start_from(x, Task(None), class_names=["a"], allow_unmatched=True)]
    for read in [checkpoint_file.describe] if "description" in kind else ways:
        with pytest.raises(CheckpointError) as refused:
            read(path)
        assert str(path) in str(refused.value)
    assert not (tmp_path / "canary").exists()


@pytest.fixture
def address(best, tmp_path):
    """A server of this machine with a poisoned checkpoint, and the list of what was asked of it."""
    POISON["payload for weights"](best, tmp_path / "x.ckpt")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path)

        def log_message(self, *arguments):
            asked.append(arguments)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/x.ckpt", asked
        server.shutdown()


def test_nothing_is_fetched(address, tmp_path):
    web, asked = address
    for url in (web, f"file://{tmp_path}/x.ckpt"):
        for read in (videoclf.load, lambda x: load(Path(x))):
            with pytest.raises(CheckpointError, match="is an address, and nothing is fetched"):
                read(url)
    evaluated = run_script("evaluate.py", f"checkpoint={web}", cwd=tmp_path)
    assert (evaluated.returncode, "is an address" in evaluated.stderr) == (5, True)
    assert asked == []


@pytest.fixture
def poisoned_run(trained_run, best, tmp_path):
    """A run folder whose checkpoints both hold a payload beside their weights."""
    run = shutil.copytree(trained_run, tmp_path / "run")
    (run / "results.json").unlink()
    poisoned = POISON["payload beside the weights"](best, tmp_path / "x.ckpt")
    for name in ("best.ckpt", "last.ckpt"):
        shutil.copy(poisoned, run / "checkpoints" / name)
    return run


def test_a_run_does_not_go_on_from_poison(poisoned_run):
    assert newest_checkpoint(poisoned_run / "checkpoints")  # its hash is right
    with pytest.raises(CheckpointError, match="which could run code"):
        fit(poisoned_run, resume_from=poisoned_run / "checkpoints" / "last.ckpt")


def test_no_tool_takes_poison(best, tmp_path):
    """`videoclf.load` is what predict, probe, features and explain stand on."""
    poisoned = POISON["payload for weights"](best, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match="which could run code"):
        videoclf.load(poisoned)


@pytest.mark.slow
def test_commands_end_with_5(poisoned_run, tmp_path):
    for command in (
        ("evaluate.py", f"checkpoint={poisoned_run / 'checkpoints' / 'best.ckpt'}"),
        ("train.py", f"resume={poisoned_run}"),
    ):
        ended = run_script(*command, cwd=tmp_path)
        assert (ended.returncode, "which could run code" in ended.stderr) == (5, True), command
