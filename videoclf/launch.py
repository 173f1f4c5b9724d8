"""Start, watch and end the ranks of a run: N plain Python processes on one run folder.

The launching process knows Hydra and no torch, the ranks know torch and no Hydra. Each rank gets
torchrun's environment variables, so that Lightning spawns nothing itself. Signals are passed on,
survivors of a failed rank are ended, and the error that came first is the one that is reported.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from videoclf import errors
from videoclf.errors import ConfigError, DataError, StorageError, VideoclfError, WorkerError
from videoclf.outer_launcher import Place, find_place, free_port
from videoclf.secrets import as_variables
from videoclf.standstill import Standstill

#: Variables of an outer launcher, which the ranks must not inherit.
_LAUNCHER_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK")
#: Seconds in which the other ranks may end by themselves after the first failure.
GRACE_SECONDS = 15.0
_HANDLED = (signal.SIGINT, signal.SIGTERM)
#: Errors after which, once their cause is mended, a run can go on where it stopped.
MENDED_OUTSIDE = (DataError.exit_code, StorageError.exit_code, WorkerError.exit_code)
#: Kinds of runs that can: train.py and evaluate.py take resume=<run folder>.
RESUMABLE = ("train", "evaluate")


def count_gpus() -> int:
    """Count the CUDA devices that a rank would see, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return len([line for line in listed.stdout.splitlines() if line.startswith("GPU ")])


def count_ranks(
    trainer: Mapping[str, Any], place: Place | None = None, *, in_sweep: bool = False
) -> int:
    """Return how many processes a run has: those of another launcher, or as its trainer asks.

    Args:
        trainer: its config.
        place: among processes that another launcher has started.
        in_sweep: whether the run is one job of several.

    Raises:
        ConfigError: devices that are not there, or an option that would fall back silently.
    """
    accelerator, devices = trainer["accelerator"], trainer["devices"]
    gpus = count_gpus() if accelerator in ("auto", "gpu", "cuda") else 0
    if accelerator in ("gpu", "cuda") and not gpus:
        raise ConfigError(
            f"trainer.accelerator={accelerator}, but no GPU is visible here; use trainer=cpu"
        )
    if trainer["precision"] == "16-mixed" and not gpus:
        raise ConfigError(
            "trainer.precision=16-mixed needs a GPU, and none is used here; "
            "use trainer.precision=bf16-mixed or 32-true"
        )
    if place is not None:
        place.check_trainer(trainer, in_sweep=in_sweep)
        return place.world
    if isinstance(devices, int):
        count = gpus if devices == -1 and gpus else devices
    elif devices == "auto":
        count = gpus or 1
    elif isinstance(devices, Sequence) and not isinstance(devices, str):
        count = len(devices)
    else:
        raise ConfigError(f"trainer.devices={devices!r} must be a number, a list or auto")
    if trainer["num_nodes"] > 1:
        raise ConfigError(
            f"trainer.num_nodes={trainer['num_nodes']} needs a process a device on every machine: "
            "start it by torchrun or srun (docs/cluster.md)"
        )
    if count < 1 or (gpus and count > gpus):
        raise ConfigError(
            f"trainer.devices={devices} asks for {count} device(s), and {gpus or 'only CPUs'} "
            "are here; set trainer.devices to what there is"
        )
    return count


def resume_command(folder: Path, kind: str = "train") -> str:
    """Return what to type to go on with a run of a kind, train or evaluate."""
    here = Path.cwd()
    shown = str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
    if not re.fullmatch(r"[\w./-]+", shown):  # Hydra wants quotes, and so does the shell
        shown = shlex.quote(f"'{shown}'")
    return f"python {kind}.py resume={shown}"


def start(
    folder: Path,
    kind: str,
    *,
    ranks: int,
    began: float,
    resume_from: Path | None = None,
    place: Place | None = None,
    secrets: Mapping[tuple[str | int, ...], str] | None = None,
    seconds_to_stop: float = 9.0,
) -> None:
    """Run all ranks of this process to their end.

    Args:
        folder: of the run, with its `config.yaml`.
        kind: `train` or `evaluate`.
        ranks: how many processes, on all machines.
        began: when the user's command began, seconds since the epoch; the run's wall time counts
            from here.
        resume_from: the run's checkpoint to go on from; of an evaluation, the list of what is
            stored of it.
        place: where another launcher has started a process a rank; this one starts its own only.
        secrets: of the config, which its file does not hold.
        seconds_to_stop: that the ranks have to save and end after a signal.

    Raises:
        VideoclfError: what the first rank that failed said, or `WorkerError` where it died.
        SystemExit: with 130 or 143 after SIGINT or SIGTERM.
    """
    command = [kind, str(folder), *([str(resume_from)] if resume_from else [])]
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        saved[:] = [_last_save(folder)]
        received.append(number)

    saved: list[int] = []  # when, before the signal
    previous = {number: signal.signal(number, remember) for number in _HANDLED}
    numbers = range(ranks) if place is None else [place.rank]
    variables = _variables(folder, ranks) if place is None else [place.environment]
    hidden = as_variables(secrets or {})
    processes = [_start_rank(command, {**own, **hidden}, began) for own in variables]
    standstill = Standstill(folder, dict(zip(numbers, processes, strict=True)), world=ranks)
    try:
        order = _watch(processes, received, standstill, seconds_to_stop)
    finally:
        for process in processes:
            _end(process)
        standstill.remove()
        for number, handler in previous.items():
            signal.signal(number, handler)
    codes = [process.returncode for process in processes]
    told = received[0] if received and any(codes) else _told_elsewhere(folder, numbers, codes)
    if told:
        name = signal.Signals(told).name
        if -signal.SIGKILL in codes and saved == [_last_save(folder)]:
            name += f" without a save, which took longer than {seconds_to_stop:g} s"
        goes_on = kind in RESUMABLE
        how = f"go on with: {resume_command(folder, kind)}" if goes_on else "start it again"
        sys.stderr.write(f"stopped by {name}; {how}\n")
        raise SystemExit(128 + told)
    try:
        if standstill.found is not None:
            raise standstill.found
        _raise_first(folder, dict(zip(numbers, codes, strict=True)), [numbers[k] for k in order])
    except VideoclfError as error:
        if kind in RESUMABLE and error.exit_code in MENDED_OUTSIDE:
            error.args = (f"{error}; then go on with: {resume_command(folder, kind)}",)
        raise


def _last_save(folder: Path) -> int:
    """Return when the run's last checkpoint was written, in nanoseconds; 0 where there is none."""
    last = folder / "checkpoints" / "last.ckpt"
    return last.stat().st_mtime_ns if last.exists() else 0


def _told_elsewhere(folder: Path, ranks: Iterable[int], codes: Sequence[int]) -> int:
    """Return the signal that only the launching process of another rank has got; 0 for none."""
    if any(error_file(folder, rank).exists() for rank in ranks):
        return 0
    return next((code - 128 for code in codes if code - 128 in _HANDLED), 0)


def _variables(folder: Path, ranks: int) -> list[dict[str, str]]:
    """Return torchrun's variables for each of several ranks on this machine."""
    if ranks == 1:
        return [{}]
    port = str(free_port())
    return [
        {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(ranks),
            "LOCAL_WORLD_SIZE": str(ranks),
            "GROUP_RANK": "0",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "TORCHELASTIC_RUN_ID": folder.name,
        }
        for rank in range(ranks)
    ]


def _start_rank(
    arguments: Sequence[str], variables: Mapping[str, str], began: float
) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    if find_place() is None:  # variables of a launcher that has not started this process
        environment = {k: v for k, v in environment.items() if k not in _LAUNCHER_VARIABLES}
    environment |= {"VIDEOCLF_BEGAN": str(began), "VIDEOCLF_LAUNCHER": str(os.getpid())}
    environment |= variables
    ranks_here = int(environment.get("LOCAL_WORLD_SIZE", "1"))
    if ranks_here > 1:
        cores = len(os.sched_getaffinity(0))
        environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // ranks_here)))
    command = [sys.executable, "-m", "videoclf.run", *arguments]
    # a process group of its own: Ctrl-C reaches the ranks once, through this process
    return subprocess.Popen(command, env=environment, start_new_session=True)


def _watch(
    processes: Sequence[subprocess.Popen[bytes]],
    received: list[int],
    standstill: Standstill,
    seconds_to_stop: float,
) -> list[int]:
    """Wait until all ranks have ended; after the first failure the others get a grace period.

    Those that neither end nor go on are not waited for.

    Returns:
        The ranks that failed, in the order in which they did.
    """
    forwarded = 0
    failed: list[int] = []
    deadline: float | None = None
    while True:
        codes = [process.poll() for process in processes]
        failed += [rank for rank, code in enumerate(codes) if code and rank not in failed]
        if None not in codes:
            return failed
        while forwarded < len(received):
            for process in processes:
                if process.poll() is None:
                    process.send_signal(received[forwarded])
            forwarded += 1
            deadline = deadline or time.monotonic() + seconds_to_stop
        if deadline is None and failed:
            deadline = time.monotonic() + GRACE_SECONDS
        if deadline is not None and time.monotonic() > deadline:
            return failed
        if deadline is None and standstill.look() is not None:
            return failed
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a rank's process group: loader workers too."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def error_file(folder: Path, rank: int) -> Path:
    """Where a rank leaves its error for the launching process."""
    return folder / f".error_rank{rank}.json"


def _raise_first(folder: Path, codes: Mapping[int, int], order: Sequence[int]) -> None:
    """Raise the error of the rank that failed first; the others mostly fail because of it."""
    left = [error_file(folder, rank) for rank in codes]
    said = [json.loads(path.read_text()) for path in left if path.exists()]
    for path in left:
        path.unlink(missing_ok=True)
    if not any(codes.values()):
        return
    kinds = {cls.__name__: cls for cls in vars(errors).values() if isinstance(cls, type)}
    named = [each for each in said if each["kind"] in kinds]
    first: dict[str, Any] | None = min(named or said, key=lambda each: each["time"], default=None)
    if first is None and StorageError.exit_code in codes.values():
        raise StorageError(f"nothing more can be written to {folder}: the disk is full; make room")
    if first is None:
        rank = order[0] if order else next(rank for rank, code in codes.items() if code)
        code = codes[rank]
        how = f"was killed by signal {-code}" if code < 0 else f"exited with {code}"
        raise WorkerError(
            f"rank {rank} {how} without a word; look at its output above, and at the memory of "
            "the machine (a signal 9 is often the kernel's, out of memory)"
        )
    if first["kind"] not in kinds:
        raise WorkerError(first["message"])
    error = VideoclfError(first["message"])
    error.exit_code = first["exit_code"]  # type: ignore[misc]
    raise error
