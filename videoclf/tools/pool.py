"""A pool of processes for work that may hang or crash in C: a task has a time limit of its own.

A process that exceeds the limit is killed and replaced, and one that dies is replaced; the task
is then reported as lost, with the reason, and the others go on. Python's own pools wait for ever
in the first case and break in the second. Tasks are taken from their iterator as they are needed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

import videoclf
from videoclf.errors import ConfigError, VideoclfError, WorkerError

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Seconds in which a new process must have imported what it needs.
START_SECONDS = 120.0
#: Tasks lost in a row to exceptions of Python, after which the fault is taken to be ours.
MAX_LOST_IN_A_ROW = 20
_END = object()


@dataclass(frozen=True)
class Finished(Generic[Task, Result]):
    """A task and what the function returned."""

    task: Task
    result: Result


@dataclass(frozen=True)
class Lost(Generic[Task]):
    """A task whose process was killed for its time, or died.

    Args:
        task: what it worked on.
        exit_code: of the process, negative for a signal; None where the time limit was exceeded.
        reason: a clause for the user.
    """

    task: Task
    exit_code: int | None
    reason: str


class Pool(Generic[Task, Result]):
    """Processes that call one function.

    Args:
        function: importable by its name, or a `functools.partial` of such; its errors of the
            kind `VideoclfError` stop the whole run.
        num_processes: at most so many at once; they start as tasks come.
        seconds_per_task: the time limit of a task.

    Raises:
        ConfigError: a number that is not positive.
    """

    def __init__(
        self,
        function: Callable[[Task], Result],
        *,
        num_processes: int,
        seconds_per_task: float,
    ) -> None:
        if num_processes < 1:
            raise ConfigError(f"the number of processes must be at least 1, not {num_processes}")
        if not seconds_per_task > 0:
            raise ConfigError(f"the time limit must be above 0 s, not {seconds_per_task}")
        self.function = function
        self.num_processes = num_processes
        self.seconds_per_task = seconds_per_task
        self._lost_in_a_row = 0

    def run(
        self, tasks: Iterable[Task]
    ) -> Generator[Finished[Task, Result] | Lost[Task], None, None]:
        """Yield each task as it ends, in any order; closing the iterator kills the processes.

        Raises:
            VideoclfError: what the function raised.
            WorkerError: processes do not start, or many in a row end by an exception.
        """
        waiting = iter(tasks)
        processes: list[_Process] = []
        try:
            while True:
                while len(processes) < self.num_processes:
                    if (task := next(waiting, _END)) is _END:
                        break
                    processes.append(_Process(self.function, task))
                if not processes:
                    return
                for process in _wait(processes):
                    ended = self._attend(process)
                    if ended is None:
                        continue
                    task = _END if process.is_over else next(waiting, _END)
                    if task is _END:
                        process.end()
                        processes.remove(process)
                    else:
                        process.give(task, self.seconds_per_task)
                    yield ended
        finally:
            for process in processes:
                process.end()

    def _attend(self, process: _Process) -> Finished[Task, Result] | Lost[Task] | None:
        """Take what a process has sent, or see that it is late; None where it has only started."""
        task: Any = process.task
        if not process.connection.poll():
            process.end()
            if not process.is_ready:
                raise WorkerError(
                    f"a process did not start within {START_SECONDS:.0f} s; the machine is too "
                    "busy, lower --processes"
                )
            return self._late(task)
        try:
            message: Any = process.connection.recv()
        except (EOFError, ConnectionResetError):
            return self._died(process)
        if not process.is_ready:
            process.is_ready = True
            process.deadline = time.monotonic() + self.seconds_per_task
            return None
        result, error, seconds = message
        if error is not None:
            assert isinstance(error, VideoclfError)
            raise error
        self._lost_in_a_row = 0
        if seconds > self.seconds_per_task:  # late, but done before this process came to look
            return self._late(task)
        return Finished(task, result)

    def _late(self, task: Task) -> Lost[Task]:
        return Lost(task, None, f"took longer than {self.seconds_per_task:g} s")

    def _died(self, process: _Process) -> Lost[Task]:
        code = process.exit_code()
        task: Any = process.task
        if not process.is_ready:
            raise WorkerError(f"a process ended with {code} before it began; its words are above")
        if code < 0:
            name = signal.Signals(-code).name
            hint = ", often for lack of memory" if -code == signal.SIGKILL else ""
            return Lost(task, code, f"ended its process with signal {-code} ({name}{hint})")
        self._lost_in_a_row += 1
        if self._lost_in_a_row == MAX_LOST_IN_A_ROW:
            raise WorkerError(
                f"{MAX_LOST_IN_A_ROW} processes in a row ended with an error, the last with exit "
                f"code {code}; their tracebacks are above"
            )
        return Lost(task, code, f"ended its process with exit code {code}")


class _Process:
    """One worker process and the task that it works on; the time limit counts from its start."""

    def __init__(self, function: Callable[..., Any], task: object) -> None:
        ours, theirs = Pipe()
        self.connection: Connection[Any, Any] = ours
        self.task = task
        self.is_ready = False
        self.is_over = False
        self.deadline = time.monotonic() + START_SECONDS
        package_folder = str(Path(videoclf.__file__).parents[1])
        paths = [package_folder, *filter(None, [os.environ.get("PYTHONPATH")])]
        # no module is taken from the user's current folder, which may hold files of any name
        environment = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "videoclf.tools.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C reaches the pool, which then ends its processes
        )
        theirs.close()
        self._send(function)
        self._send(task)

    def give(self, task: object, seconds: float) -> None:
        """Hand over the next task."""
        self.task = task
        self.deadline = time.monotonic() + seconds
        self._send(task)

    def end(self) -> None:
        """Kill the process; may be called twice."""
        self.is_over = True
        self.connection.close()
        self._popen.kill()
        self._popen.wait()

    def exit_code(self) -> int:
        """Return the exit code of a process that has closed its pipe, and so is about to end."""
        try:
            return self._popen.wait(10)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            self.end()

    def _send(self, message: object) -> None:
        try:
            self.connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            return  # it has died; reading from the pipe tells


def _wait(processes: list[_Process]) -> list[_Process]:
    """Wait until processes have sent something, died, or exceeded their time."""
    earliest = min(process.deadline for process in processes)
    ready = wait(
        [process.connection for process in processes], max(0.0, earliest - time.monotonic())
    )
    now = time.monotonic()
    return [p for p in processes if p.connection in ready or now >= p.deadline]
