"""A rank that hangs without dying: named by the launching process, which then ends the run.

Each rank keeps one line in a small file of the run folder: where its main thread is, since when,
and how long it may stay there. Ranks that train together wait for one another, so when one hangs,
soon none goes on. The launching process reads the lines of its own ranks, and looks at others',
which another launcher has started, only when its own stand still; a run in which no rank goes on
is at an end. Who held it up is asked last: each rank's stack goes into its file, by a signal that
needs nothing of the rank's Python.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from videoclf.errors import WorkerError

#: Seconds between two looks at the lines.
PERIOD = 0.5
#: Seconds in which ranks leave their stacks.
STACK_SECONDS = 2.0
_LINE_BYTES = 256
_ASKED = signal.SIGUSR2
#: Where a rank stands that waits for others: torch's collectives, the forward pass that begins with
#: one, the backward pass that ends in one, and our own exchange of signals.
_WAITING = re.compile(
    r"/torch/distributed/|/torch/nn/parallel/|/torch/autograd/graph\.py|/videoclf/stop_signals\.py"
)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Where a rank is.

    Args:
        where: such as "epoch 1, batch 3, forward".
        since: seconds since the epoch.
        limit: seconds that it may stay there; None is for ever.
    """

    where: str
    since: float
    limit: float | None


def mark_file(folder: Path, rank: int) -> Path:
    """Where a rank of a run says where it is."""
    return folder / f".progress_rank{rank}"


def mark_files(folder: Path) -> Iterator[Path]:
    """Return those of all ranks."""
    return folder.glob(".progress_rank*")


class Marks:
    """A rank's own line, rewritten in place: some microseconds each.

    Args:
        folder: of the run.
        rank: in [0, world).
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = mark_file(folder, rank)
        self._handle: int | None = None

    def put(self, where: str, limit: float | None) -> None:
        """Say that this rank is somewhere from now on, and for so many seconds at most."""
        if self._handle is None:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            os.lseek(self._handle, _LINE_BYTES, os.SEEK_SET)  # the stack goes behind the line
            faulthandler.register(_ASKED, file=self._handle, all_threads=False)
        mark = Mark(where=where, since=time.time(), limit=limit)
        line = json.dumps(asdict(mark)).encode()[: _LINE_BYTES - 1]
        os.pwrite(self._handle, line.ljust(_LINE_BYTES - 1) + b"\n", 0)


class Standstill:
    """Looks at the ranks of a launching process.

    Args:
        folder: of the run.
        processes: of the ranks that were started here, by rank.
        world: number of ranks everywhere.
    """

    def __init__(
        self, folder: Path, processes: Mapping[int, subprocess.Popen[bytes]], *, world: int
    ) -> None:
        self.folder = folder
        self.processes = processes
        self.world = world
        self.found: WorkerError | None = None
        self._looked = time.monotonic()
        self._seen: dict[int, Mark] = {}
        self._quiet: dict[int, float] = {}

    def look(self) -> WorkerError | None:
        """Return what holds up the run, or None as long as any rank goes on, or may still.

        To be called often; a look is taken every `PERIOD` seconds.
        """
        now = time.monotonic()
        if now - self._looked < PERIOD:
            return None
        # a launcher that was stopped itself, with its ranks or without, has seen nothing meanwhile
        elapsed, self._looked = min(now - self._looked, 2 * PERIOD), now
        living = [rank for rank, process in self.processes.items() if process.poll() is None]
        overdue = [rank for rank in living if self._is_overdue(rank, elapsed)]
        if living and len(overdue) == len(living) and not self._others_go_on():
            self.found = self._explain(living)
        return self.found

    def remove(self) -> None:
        """Delete the lines of the ranks that were started here."""
        for rank in self.processes:
            mark_file(self.folder, rank).unlink(missing_ok=True)

    def _is_overdue(self, rank: int, elapsed: float) -> bool:
        mark = _read(mark_file(self.folder, rank))
        if mark is None:
            return False  # in its first step, which may compile
        again = self._seen.get(rank) == mark
        self._quiet[rank] = self._quiet[rank] + elapsed if again else 0.0
        self._seen[rank] = mark
        return mark.limit is not None and self._quiet[rank] > mark.limit

    def _others_go_on(self) -> bool:
        """Whether a rank of another launching process has gone on lately, by its own clock."""
        own = {mark_file(self.folder, rank) for rank in self.processes}
        marks = [_read(path) for path in mark_files(self.folder) if path not in own]
        return any(
            mark is not None and (mark.limit is None or time.time() - mark.since <= mark.limit)
            for mark in marks
        )

    def _explain(self, living: list[int]) -> WorkerError:
        """Ask the ranks for their stacks, show them, and name the one that the others wait for."""
        for rank in living:
            self.processes[rank].send_signal(_ASKED)
        time.sleep(STACK_SECONDS)
        for rank in living:
            file = mark_file(self.folder, rank)
            if not _stack(file):
                with file.open("a", encoding="utf-8") as behind:
                    behind.write(f"  {_state(self.processes[rank].pid)}\n")
            sys.stderr.write(f"rank {rank} stands at:\n{_stack(file)}")
        candidates = []
        for file in mark_files(self.folder):
            mark = _read(file)
            if mark is not None:
                waits = _WAITING.search(_innermost(_stack(file))) is not None
                rank = int(file.name.removeprefix(".progress_rank"))
                candidates.append((waits, mark.since, rank, mark))
        _, _, rank, mark = min(candidates, key=lambda each: each[:3])
        since = time.strftime("%H:%M:%S", time.localtime(mark.since))
        return WorkerError(
            f"rank {rank} of {self.world} has made no progress since {since}, for "
            f"{time.time() - mark.since:.0f} s: {mark.where}, "
            f"{_innermost(_stack(mark_file(self.folder, rank)))}; the others wait for it; see the "
            "stacks above, or raise seconds_without_progress if such a step may take that long"
        )


def _read(path: Path) -> Mark | None:
    """Return a rank's line; None where there is none yet, or it is just being written."""
    try:
        with path.open("rb") as file:
            return Mark(**json.loads(file.read(_LINE_BYTES)))
    except (FileNotFoundError, ValueError):
        return None


def _stack(path: Path) -> str:
    """Return what stands behind a rank's line, the innermost call first."""
    return path.read_bytes()[_LINE_BYTES:].decode(errors="replace")


def _innermost(stack: str) -> str:
    """Return the innermost call of a stack, or what else is said there, as one line."""
    calls = [line.strip() for line in stack.splitlines() if line.startswith("  ")]
    return re.sub(r'^File "(.*)", line (\d+) in', r"at \1:\2 in", calls[0]) if calls else ""


def _state(process: int) -> str:
    """Say of a process that gives no stack what the kernel knows of it."""
    try:
        letter = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2][1]
    except OSError:
        return "it gives no stack"
    words = {"T": "it was stopped by a signal", "t": "a debugger has stopped it"}
    words["D"] = "it waits for a disk or a device"
    return words.get(letter, "it gives no stack")
