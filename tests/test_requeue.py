"""The script of docs/cluster.md, run as it stands, with stand-ins for SLURM's own commands."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import PROJECT, TINY, TINY_MODEL
from videoclf.resume import is_finished

#: srun starts the command here; scontrol notes what it is asked for; python is that of the tests.
STANDINS = {
    "srun": 'echo $$ > "$HERE/task"\nshift\nexec "$@"\n',
    "scontrol": 'echo "$@" >> "$HERE/asked"\n',
    "python": f'exec "{sys.executable}" "$@"\n',
}


@pytest.fixture
def script(tmp_path):
    """The documented script with a tiny run in place of Kinetics."""
    page = (PROJECT / "docs" / "cluster.md").read_text(encoding="utf-8")
    text = re.search(r"```\n(#!/bin/bash\n.*?)```", page, re.DOTALL)[1]
    big = "trainer=ddp data=kinetics400 data.root=/videos"
    assert big in text
    tiny = " ".join(
        f"'{each}'" for each in (*TINY, *TINY_MODEL, "trainer.max_epochs=8", "name=job")
    )
    path = tmp_path / "job.sh"
    path.write_text(text.replace(big, tiny).replace(" train.py ", f" {PROJECT / 'train.py'} "))
    for name, content in STANDINS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{content}")
        (tmp_path / name).chmod(0o755)
    return path


@pytest.mark.slow
def test_a_job_at_its_time_limit_is_requeued_and_ends(script, tmp_path):
    environment = {**os.environ, "SLURM_JOB_ID": "4711", "HERE": str(tmp_path)}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    run = tmp_path / "runs" / "4711"

    def submit():
        return subprocess.Popen(["bash", script], cwd=tmp_path, env=environment)

    job = submit()
    deadline = time.monotonic() + 240
    while not (run / "checkpoints" / "last.ckpt").exists():
        assert job.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(int((tmp_path / "task").read_text()), signal.SIGTERM)  # as --signal=TERM@120 does
    assert job.wait(60) == 143
    assert (tmp_path / "asked").read_text() == "requeue 4711\n"
    assert not is_finished(run)
    assert submit().wait(240) == 0
    assert is_finished(run)
    assert (tmp_path / "asked").read_text() == "requeue 4711\n"
    assert submit().wait(240) == 0  # a scheduler may repeat it
