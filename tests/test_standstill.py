"""A rank that hangs without dying: two real processes, found, named and ended."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import PROJECT, TINY, TINY_MODEL
from tests.test_launch import alive, children
from videoclf import standstill
from videoclf.standstill import Marks, Standstill, mark_file

LIMIT = 6
#: A rank that goes on slowly, each step far below the limit, all together above it; then it sleeps.
SLOW_THEN_ASLEEP = """
import sys, time
from pathlib import Path
from videoclf.standstill import Marks

marks = Marks(Path(sys.argv[1]), 1)

def asleep():
    time.sleep(10_000)

for step in range(1, 9):
    marks.put(f"epoch 1, batch {step}, forward", 1.0)
    time.sleep(0.3)
print(time.monotonic(), flush=True)
asleep()
"""
#: One that waits for it all the while, above its limit, and a last time behind it.
WAITING = """
import sys, time
from pathlib import Path
from videoclf.standstill import Marks, mark_file

folder = Path(sys.argv[1])
marks = Marks(folder, 0)

def waiting():
    time.sleep(10_000)

marks.put("epoch 1, batch 1, backward", 1.0)
other = mark_file(folder, 1)
while not (other.exists() and "batch 8" in other.read_text()):
    time.sleep(0.01)
marks.put("epoch 1, batch 8, backward", 1.0)
waiting()
"""


def start(folder, *settings):
    command = [sys.executable, str(PROJECT / "train.py"), *TINY, *TINY_MODEL]
    command += ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "data.batch_size=4"]
    command += ["trainer.max_epochs=100000", "data.seconds_per_file=1", f"run_dir={folder}"]
    command += [f"seconds_without_progress={LIMIT}", *settings]
    return subprocess.Popen(
        command,
        cwd=folder.parent,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def started(tmp_path):
    processes = []

    def begin(*settings):
        processes.append(start(tmp_path / "run", *settings))
        return processes[0]

    yield begin
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_rank_that_is_stopped_ends_the_run(started, tmp_path):
    process = started()
    deadline = time.monotonic() + 240
    while not mark_file(tmp_path / "run", 1).exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(children(process.pid)[1], signal.SIGSTOP)
    stopped_at = time.monotonic()
    _, said = process.communicate(timeout=LIMIT + 60)
    assert process.returncode == 7, said
    assert time.monotonic() - stopped_at > LIMIT
    last = said.strip().splitlines()[-1]
    assert re.search(r"rank 1 of 2 has made no progress since \d\d:\d\d:\d\d", last), said
    assert "it was stopped by a signal" in last
    assert "go on with: python train.py resume=" in last
    waiting = said.partition("rank 0 stands at:")[2].splitlines()
    assert any("File" in line for line in waiting[:3])
    assert standstill._WAITING.search(standstill._innermost("\n".join(waiting))), said
    assert not alive(str(tmp_path / "run"))
    assert not list((tmp_path / "run").glob(".progress_rank*"))


def test_a_slow_rank_goes_on_and_one_that_sleeps_is_named(tmp_path, capfd):
    """Two processes that say where they are, as ranks do; no training in them."""
    ranks = {
        rank: subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for rank, script in ((0, WAITING), (1, SLOW_THEN_ASLEEP))
    }
    try:
        watch = Standstill(tmp_path, ranks, world=2)
        deadline = time.monotonic() + 120
        while watch.look() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        found_at, slept_at = time.monotonic(), float(ranks[1].stdout.readline())
    finally:
        for process in ranks.values():
            process.kill()
            process.wait()
            process.stdout.close()
    assert found_at > slept_at
    assert re.search(
        r"rank 1 of 2 has made no progress since .*: epoch 1, batch 8, forward, at .* in asleep; "
        "the others wait for it",
        str(watch.found),
    )
    said = capfd.readouterr().err
    assert said.index("in waiting") < said.index("in asleep")


@pytest.fixture
def sleeper():
    """A process that leaves no stack."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_run_stands_still_only_where_no_rank_may_go_on(tmp_path, sleeper, monkeypatch):
    """Ranks of other launchers and places without a limit count; a launcher's own sleep not."""
    monkeypatch.setattr(standstill, "STACK_SECONDS", 0.1)
    monkeypatch.setattr(standstill, "PERIOD", 0.01)
    watch = Standstill(tmp_path, {0: sleeper}, world=2)

    def found_after(seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and watch.look() is None:
            time.sleep(0.002)
        return watch.found

    assert found_after(0.1) is None  # in its first step
    own, other = Marks(tmp_path, 0), Marks(tmp_path, 1)
    own.put("evaluation", None)
    assert found_after(0.3) is None
    own.put("epoch 1, batch 2, forward", 0.1)
    time.sleep(0.3)  # stopped itself: it has not watched
    assert watch.look() is None
    other.put("epoch 1, batch 2, forward", 60)
    assert found_after(0.5) is None
    other.put("epoch 1, batch 2, backward", 0.1)
    error = found_after(10)
    assert "rank 0 of 2 has made no progress" in str(error)
    assert "epoch 1, batch 2, forward" in str(error)
    watch.remove()
    assert not mark_file(tmp_path, 0).exists()
