"""Runs that torchrun or SLURM's srun starts: real processes, real rendezvous, one run folder."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.conftest import PROJECT, TINY, TINY_MODEL
from videoclf.errors import ConfigError
from videoclf.outer_launcher import Place, find_place
from videoclf.resume import restart

SLURM = {
    "SLURM_JOB_ID": "123456",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
}
TRAINER = {"devices": "auto", "num_nodes": 1}


def free_port():
    """A port that is free together with the next one."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def words(folder, *changes):
    return [
        str(PROJECT / "train.py"),
        *TINY,
        *TINY_MODEL,
        f"run_dir={folder}",
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "data.batch_size=4",
        *changes,
    ]


def test_who_was_started_by_whom():
    assert find_place({}) is None
    assert find_place({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) is None  # an sbatch script
    torchrun = {
        "TORCHELASTIC_RUN_ID": "x",
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "a",
        "MASTER_PORT": "1",
    }
    assert find_place(torchrun) == Place(
        launcher="torchrun", rank=5, world=8, local_world=4, environment={}
    )
    place = find_place(SLURM)
    assert (place.rank, place.world, place.local_world) == (3, 4, 2)
    assert dict(place.environment) == {
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "1",
        "MASTER_ADDR": "gpu07",
        "MASTER_PORT": "18456",
        "TORCHELASTIC_RUN_ID": "123456",
    }
    with pytest.raises(ConfigError, match="equal numbers: --ntasks-per-node"):
        find_place({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "2,1"})


def test_settings_that_the_launcher_contradicts():
    place = Place(launcher="torchrun", rank=0, world=8, local_world=4, environment={})
    place.check_trainer(TRAINER, in_sweep=False)
    place.check_trainer({"devices": 4, "num_nodes": 2}, in_sweep=False)
    with pytest.raises(
        ConfigError, match=r"trainer.devices=3, but .* 4 process\(es\) on each of 2"
    ):
        place.check_trainer({"devices": 3, "num_nodes": 2}, in_sweep=False)
    with pytest.raises(ConfigError, match="start a sweep .-m. without it"):
        place.check_trainer(TRAINER, in_sweep=True)


def test_torchrun_makes_one_run_of_two_ranks(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += [f"--master-port={free_port()}", *words(tmp_path / "run")]
    finished = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["counts"] == {"expected": 16, "evaluated": 16, "missing": 0}
    assert results["environment"]["device"] == "2 x cpu"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


@pytest.mark.slow
@pytest.mark.parametrize("machines", [1, 2])
def test_torchruns_restart_goes_on_with_the_run(tmp_path, machines):
    """A rank is killed; torchrun repeats the command, `run_dir` and all.

    On the machine of the other rank, here another torchrun, it counts no restart.
    """
    alive = tmp_path / "alive"
    alive.touch()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--max-restarts=1"]
    torchrun += [f"--nnodes={machines}", f"--nproc-per-node={2 // machines}"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{free_port()}", "--rdzv-id=a"]
    command = [
        *torchrun,
        *words(tmp_path / "run", "trainer.max_epochs=3", "checkpoint.every_n_steps=1"),
        "task._target_=tests.recording.KilledClassification",
        "trusted_packages=[tests]",
        "+task.step=6",
        f"+task.alive={alive}",
    ]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(command, cwd=PROJECT, env=variables, stderr=subprocess.PIPE, text=True)
        for _ in range(machines)
    ]
    said = [process.communicate(timeout=280)[1] for process in started]
    assert [process.returncode for process in started] == [0] * machines, said
    assert not alive.exists()
    assert "".join(said).count(f"going on with {tmp_path / 'run'} from") == 1
    assert (tmp_path / "run" / "results.json").exists()


def test_a_restart_that_would_not_find_its_run_is_refused_at_once():
    place = Place(launcher="torchrun", rank=0, world=2, local_world=2, environment={})
    assert not restart(None, {}, place, began=0.0)
    with pytest.raises(ConfigError, match="--max-restarts=3 goes on only with a run whose folder"):
        restart(None, {}, replace(place, max_restarts=3), began=0.0)
    assert not restart(None, {"resume": "run"}, replace(place, max_restarts=3), began=0.0)
    assert not restart("run", {}, place, began=0.0)


def start_slurm(folder, *changes, port_job):
    """Start two processes as srun would, on this machine."""
    variables = {
        **SLURM,
        "SLURM_JOB_ID": port_job,
        "SLURM_NTASKS": "2",
        "SLURM_NODEID": "0",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": "2",
    }
    return [
        subprocess.Popen(
            [sys.executable, *words(folder, *changes)],
            cwd=folder.parent,
            env={
                **os.environ,
                **variables,
                "SLURM_PROCID": rank,
                "SLURM_LOCALID": rank,
                "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]


@pytest.mark.slow
def test_srun_makes_one_run_of_two_tasks(tmp_path):
    processes = start_slurm(tmp_path / "run", port_job="770000" + str(free_port())[-4:])
    said = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["environment"]["device"] == "2 x cpu"


def test_what_rank_0_refuses_ends_all_with_one_sentence(tmp_path):
    processes = start_slurm(
        tmp_path / "run", "data.num_train=33", port_job="770000" + str(free_port())[-4:]
    )
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    assert "data.num_train=33 cannot be shared evenly" in said[0]
    assert "cannot be shared" not in said[1]
    assert not (tmp_path / "run").exists()
