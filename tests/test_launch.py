"""Ranks as real processes: signals passed on, nobody left behind, the first error reported."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import PROJECT, TINY, TINY_MODEL
from videoclf import launch
from videoclf.errors import ConfigError, DataError, StorageError, VideoclfError, WorkerError
from videoclf.run_folder import discard, run_folder


def trainer(**changes):
    settings = {
        "accelerator": "auto",
        "devices": "auto",
        "num_nodes": 1,
        "precision": "32-true",
    }
    return {**settings, **changes}


@pytest.mark.parametrize(
    ("changes", "visible", "ranks"),
    [
        ({}, "", 1),
        ({}, "0,1,2", 3),
        ({"devices": 2}, "0,1,2", 2),
        ({"devices": -1}, "0,1,2", 3),
        ({"devices": [0, 2]}, "0,1,2", 2),
        ({"accelerator": "cpu", "devices": 4}, "0,1", 4),
        ({"precision": "16-mixed"}, "0", 1),
    ],
)
def test_devices_become_ranks(changes, visible, ranks, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert launch.count_ranks(trainer(**changes)) == ranks


@pytest.mark.parametrize(
    ("changes", "visible", "message"),
    [
        ({"accelerator": "gpu"}, "", "no GPU is visible here; use trainer=cpu"),
        ({"precision": "16-mixed"}, "", "trainer.precision=16-mixed needs a GPU"),
        ({"devices": 3}, "0,1", r"asks for 3 device\(s\), and 2 are here"),
        ({"devices": "all"}, "", "trainer.devices='all' must be a number, a list or auto"),
        ({"devices": 0}, "", "trainer.devices=0"),
    ],
)
def test_what_would_fall_back_silently_is_refused(changes, visible, message, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(ConfigError, match=message):
        launch.count_ranks(trainer(**changes))


def test_run_folders_of_one_second_do_not_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []
    for _ in range(3):
        with run_folder(None, "name") as folder:
            made.append(folder)
            (folder / "config.yaml").touch()
    assert len(set(made)) == 3


def test_a_failed_start_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError), run_folder(None, "name"):
        raise DataError("x")
    assert not (tmp_path / "runs" / "name").exists()


def test_a_run_that_a_mistake_has_ended_gives_its_folder_back(tmp_path):
    folder = tmp_path / "run"
    for name, stays in (("config.yaml", False), ("metrics.csv", True)):
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").touch()
        (folder / name).touch()
        discard(folder)
        assert folder.exists() == stays


def test_a_folder_in_use_or_out_of_reach(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is not empty"), run_folder(str(tmp_path), "x"):
        pass
    below = str(tmp_path / "file" / "x")
    with (
        pytest.raises(StorageError, match="cannot make the run folder"),
        run_folder(below, "x"),
    ):
        pass


def leave(folder, rank, kind, when, code=3):
    said = {"kind": kind, "message": f"{kind} of {rank}", "exit_code": code, "time": when}
    launch.error_file(folder, rank).write_text(json.dumps(said))


def test_the_first_error_of_ours_is_the_cause(tmp_path):
    leave(tmp_path, 0, "DataError", when=2.0)
    leave(tmp_path, 1, "NonFiniteLossError", when=1.0, code=4)
    with pytest.raises(VideoclfError, match="NonFiniteLossError of 1") as raised:
        launch._raise_first(tmp_path, {0: 3, 1: 4}, [1, 0])
    assert raised.value.exit_code == 4
    assert not list(tmp_path.iterdir())


def test_a_rank_that_could_not_even_say_that_the_disk_is_full(tmp_path):
    with pytest.raises(StorageError, match=f"can be written to {tmp_path}: the disk is full"):
        launch._raise_first(tmp_path, {0: 6}, [0])


def test_the_command_to_go_on_can_be_typed_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert launch.resume_command(tmp_path / "runs/a") == "python train.py resume=runs/a"
    odd = launch.resume_command(tmp_path / "my runs=1")
    assert shlex.split(odd)[-1] == "resume='my runs=1'"


def test_a_rank_that_dies_without_a_word(tmp_path):
    with pytest.raises(WorkerError, match="rank 1 was killed by signal 9 without a word"):
        launch._raise_first(tmp_path, {0: 1, 1: -9}, [1, 0])


@pytest.fixture
def long_run(tmp_path):
    """A run of two ranks that would take long, once it trains."""
    command = [sys.executable, str(PROJECT / "train.py"), *TINY, *TINY_MODEL]
    command += ["trainer.max_epochs=100000", f"run_dir={tmp_path / 'run'}", "data.batch_size=4"]
    command += ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 240
        while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def alive(marker):
    """Processes whose command line holds a text."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if marker.encode() in file.read():
                    found.append(int(pid))
        except OSError:
            continue
    return found


def children(parent):
    """Processes that a process has started itself."""
    with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
        return [int(pid) for pid in file.read().split()]


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow), (signal.SIGINT, 130)],
)
def test_a_signal_ends_all_ranks(long_run, tmp_path, number, code):
    long_run.send_signal(number)
    assert long_run.wait(timeout=30) == code
    assert not alive(str(tmp_path / "run"))


@pytest.mark.parametrize("importing", ["train.py", "a rank"])
def test_ctrl_c_while_modules_are_imported_shows_no_traceback(tmp_path, importing):
    command = [sys.executable, str(PROJECT / "train.py"), *TINY, *TINY_MODEL]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while importing == "a rank" and not children(process.pid):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode in (130, -signal.SIGINT)  # a shell says 130 for both
    assert "Traceback" not in said
    assert not alive(str(tmp_path))


def test_a_killed_rank_ends_the_run_and_nobody_is_left(long_run, tmp_path):
    os.kill(children(long_run.pid)[-1], signal.SIGKILL)
    assert long_run.wait(timeout=60) == 7
    assert "was killed by signal 9" in long_run.stderr.read().strip().splitlines()[-1]
    assert not alive(str(tmp_path / "run"))


def test_ranks_die_with_their_launcher(long_run, tmp_path):
    long_run.kill()
    long_run.wait()
    deadline = time.monotonic() + 20
    while alive(str(tmp_path / "run")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive(str(tmp_path / "run"))
