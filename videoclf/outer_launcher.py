"""Processes that somebody else starts: `torchrun train.py ...` or `srun python train.py ...`.

Such a launcher runs one command a rank, on one machine or many. Each composes the config; rank 0
makes the run folder and prepares it, and tells the others where it is; then each starts its own
rank on it. Beyond that a run is the same as one that `videoclf.launch` starts by itself.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from videoclf.errors import ConfigError, VideoclfError, WorkerError

#: What torchrun sets for each process.
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
#: How long ranks wait for rank 0 to find and check the data.
WAIT = timedelta(hours=2)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A rank's place among processes that are started already.

    Args:
        launcher: torchrun or srun.
        rank: in [0, world).
        world: number of ranks on all machines.
        local_world: on this one.
        environment: torchrun's variables, for the rank.
        restarts: how often the launcher has started the processes of this machine again.
        max_restarts: how often it would.
    """

    launcher: str
    rank: int
    world: int
    local_world: int
    environment: Mapping[str, str]
    restarts: int = 0
    max_restarts: int = 0

    def meeting_at(self, port: str) -> Place:
        """Return the place of a rank that meets the others at a port of rank 0's own.

        torchrun's store outlives a restart, and with it the addresses of the ranks that have died.
        """
        own = {"MASTER_PORT": port, "TORCHELASTIC_USE_AGENT_STORE": "False"}
        return replace(self, environment={**self.environment, **own})

    def check_trainer(self, trainer: Mapping[str, Any], *, in_sweep: bool) -> None:
        """Hold a trainer's settings against what the launcher has started.

        Raises:
            ConfigError: other numbers are set, or one torchrun is to serve several runs.
        """
        if in_sweep and self.launcher == "torchrun":
            raise ConfigError(
                "torchrun's processes meet once, for one run; start a sweep (-m) without it: "
                "each job then starts its own ranks, by trainer.devices"
            )
        nodes = self.world // self.local_world
        for key, wanted, own in (
            ("devices", trainer["devices"], self.local_world),
            ("num_nodes", trainer["num_nodes"], nodes),
        ):
            if wanted not in ("auto", -1, 1, own):
                raise ConfigError(
                    f"trainer.{key}={wanted}, but the launcher has started {self.local_world} "
                    f"process(es) on each of {nodes} machine(s); leave trainer.{key} out"
                )


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Return this process's place, or None where nobody but the user has started it.

    Raises:
        ConfigError: SLURM has put unequal numbers of tasks on the machines.
    """
    if "TORCHELASTIC_RUN_ID" in environment and all(key in environment for key in TORCHRUN):
        return Place(
            launcher="torchrun",
            rank=int(environment["RANK"]),
            world=int(environment["WORLD_SIZE"]),
            local_world=int(environment["LOCAL_WORLD_SIZE"]),
            environment={},
            restarts=int(environment.get("TORCHELASTIC_RESTART_COUNT", "0")),
            max_restarts=int(environment.get("TORCHELASTIC_MAX_RESTARTS", "0")),
        )
    # SLURM sets most of these for sbatch scripts too; a task of srun's has a step, and a number
    if int(environment.get("SLURM_NTASKS", "1")) > 1 and "SLURM_STEP_NODELIST" in environment:
        return _slurm_place(environment)
    return None


def _slurm_place(environment: Mapping[str, str]) -> Place:
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    tasks = environment.get("SLURM_STEP_TASKS_PER_NODE", environment["SLURM_NTASKS"])
    each = re.fullmatch(r"(\d+)(\(x\d+\))?", tasks)
    if each is None:
        raise ConfigError(
            f"SLURM has put {tasks} tasks on the machines; ask for equal numbers: --ntasks-per-node"
        )
    rank, world = environment["SLURM_PROCID"], environment["SLURM_NTASKS"]
    job = environment["SLURM_JOB_ID"]
    return Place(
        launcher="srun",
        rank=int(rank),
        world=int(world),
        local_world=int(each[1]),
        environment={
            "RANK": rank,
            "WORLD_SIZE": world,
            "LOCAL_RANK": environment["SLURM_LOCALID"],
            "LOCAL_WORLD_SIZE": each[1],
            "GROUP_RANK": environment["SLURM_NODEID"],
            "MASTER_ADDR": SLURMEnvironment.resolve_root_node_address(
                environment["SLURM_STEP_NODELIST"]
            ),
            "MASTER_PORT": str(15000 + int(job[-4:])),  # jobs that share a machine have others
            "TORCHELASTIC_RUN_ID": job,
        },
    )


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
    return port


def on_several_machines(place: Place | None) -> bool:
    """Return whether the processes lie on more than one."""
    return place is not None and place.world > place.local_world


def agreed(place: Place | None, decide: Callable[[], Mapping[str, str]]) -> dict[str, str]:
    """Let rank 0 decide something, and tell all ranks.

    Args:
        place: of this process; None where it is alone.
        decide: called on rank 0 only, such as what makes the run folder.

    Returns:
        What rank 0 has decided.

    Raises:
        VideoclfError: `decide` has, on rank 0.
        SystemExit: it has, on the others, with its exit code: rank 0 says why.
        WorkerError: nothing is heard from rank 0.
    """
    if place is None:
        return dict(decide())
    if place.rank:
        said: dict[str, str] = json.loads(_tell(place, None))
        if "exit_code" in said:
            raise SystemExit(int(said["exit_code"]))
        return said
    try:
        decided = dict(decide())
    except VideoclfError as error:
        _tell(place, json.dumps({"exit_code": str(error.exit_code)}))
        raise
    _tell(place, json.dumps(decided))
    return decided


def _tell(place: Place, text: str | None) -> str:
    """Hand rank 0's text to all ranks through a store: torchrun's own, or one of our own.

    torchrun's outlives a restart of the processes, so that what was said before must not be heard
    again: each rank asks under a name of this moment, and rank 0 answers all that ask, until each
    has heard the answer that it gives now.
    """
    try:
        store = _open_store(place)
        if text is not None:
            _answer_all(store, place, text)
            return text
        name = uuid.uuid4().hex
        store.set(f"videoclf_asks_{place.rank}", name)
        moment, _, heard = store.get(f"videoclf_answer_{name}").decode().partition(" ")
        with suppress(RuntimeError):  # rank 0 has counted this process, and its store is gone
            store.add(f"videoclf_heard_{moment}_{place.rank}", 1)
    except RuntimeError as error:  # torch's errors of its stores are such
        raise WorkerError(
            f"rank {place.rank} of {place.world} heard nothing from rank 0 at "
            f"{_variables(place)['MASTER_ADDR']} ({str(error).splitlines()[0]}); see what rank 0 "
            "says"
        ) from error
    return str(heard)


def _variables(place: Place) -> dict[str, str]:
    return {**os.environ, **place.environment}


def _agent_keeps_store(place: Place) -> bool:
    """Return whether torchrun itself keeps one, at the address where the ranks meet."""
    return _variables(place).get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _open_store(place: Place) -> Any:
    import torch.distributed as dist

    kept_by_agent, variables = _agent_keeps_store(place), _variables(place)
    return dist.TCPStore(  # type: ignore[attr-defined]
        variables["MASTER_ADDR"],
        # the port itself is for the ranks
        int(variables["MASTER_PORT"]) + (0 if kept_by_agent else 1),
        is_master=place.rank == 0 and not kept_by_agent,
        wait_for_workers=False,
        timeout=WAIT,
    )


def _answer_all(store: Any, place: Place, text: str) -> None:
    """Answer the other ranks until all have heard it: our own store ends with this process.

    An `add` is answered, so it has happened once it returns; a `set` of a process that then ends
    may be lost, and nobody could wait for it.
    """
    moment = uuid.uuid4().hex
    waiting, answered = set(range(1, place.world)), set[str]()
    deadline = time.monotonic() + WAIT.total_seconds()
    while waiting:
        for rank in sorted(waiting):
            if store.check([f"videoclf_heard_{moment}_{rank}"]):
                waiting.discard(rank)
            elif store.check([f"videoclf_asks_{rank}"]):
                name = store.get(f"videoclf_asks_{rank}").decode()
                if name not in answered:
                    store.set(f"videoclf_answer_{name}", f"{moment} {text}")
                    answered.add(name)
        if waiting and time.monotonic() > deadline:
            raise WorkerError(
                f"rank 0 was heard by {place.world - 1 - len(waiting)} of the other "
                f"{place.world - 1} ranks; see what the others say"
            )
        time.sleep(0.02)


def was_started_before(place: Place, folder: Path) -> bool:
    """Return, on rank 0, whether torchrun has started processes on a run's folder before.

    It counts restarts on the machine of the process that died only, but keeps its store.
    """
    if not _agent_keeps_store(place):
        return place.restarts > 0
    store, key = _open_store(place), f"videoclf_started_{folder}"
    before = bool(store.check([key]))
    store.set(key, "once")
    return before or place.restarts > 0
