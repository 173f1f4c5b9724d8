"""Find a loader process that hangs on one file, and say on which file one died.

A decoder that is stuck, or a network mount that is dead, never returns: PyTorch's loader would
wait for ever. So each loader process notes, in memory it shares with its rank, which file it has
open, and a thread of the rank watches these notes.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray

from torch.utils.data import get_worker_info

from videoclf.errors import DataError, VideoclfError, WorkerError

#: Seconds that the main thread has, after a hung process was killed, to end the run in order.
GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class OpenFile:
    """A file that a process has open: row of the manifest, and how many it had opened before."""

    process: int
    row: int
    number: int


class OpenFiles:
    """Which file each process of a loader has open, in shared memory.

    Args:
        num_workers: of the loader; 0 means that the rank itself reads.
    """

    _COLUMNS = 4  # process, row, number of the file, 1 while it is open

    def __init__(self, num_workers: int) -> None:
        self._cells = RawArray("d", self._COLUMNS * max(1, num_workers))

    @contextmanager
    def reading(self, row: int) -> Iterator[None]:
        """Note, in a loader process, that the block reads the file of a row."""
        worker = get_worker_info()
        first = self._COLUMNS * (worker.id if worker else 0)
        number = self._cells[first + 2] + 1
        self._cells[first : first + self._COLUMNS] = [os.getpid(), row, number, 1]
        try:
            yield
        finally:
            self._cells[first + 3] = 0

    def now(self) -> list[OpenFile]:
        """Return what is open at this moment, at most one file a process."""
        cells = list(self._cells)
        rows = [cells[at : at + self._COLUMNS] for at in range(0, len(cells), self._COLUMNS)]
        return [
            OpenFile(int(process), int(row), int(number))
            for process, row, number, is_open in rows
            if is_open
        ]


def _say(error: VideoclfError) -> None:
    sys.stderr.write(f"error: {error}\n")


class FileWatchdog:
    """Ends the run when one file takes too long; names the files of processes that died.

    The process that hangs is killed, with the others of its loader, and the rank's main thread
    then meets PyTorch's error of a dead worker. Where it does not (it waits for another rank, it
    is the one that hangs, or the kernel cannot kill a process that waits for a dead mount), the
    rank ends here.

    Args:
        seconds_per_file: the limit; None watches nothing, and still names files.
        path_of: the path of a row of the manifest.
        give_up: told the error before the rank is ended from here; may be set later.
    """

    def __init__(
        self,
        *,
        seconds_per_file: float | None,
        path_of: Callable[[int], str],
        give_up: Callable[[VideoclfError], object] = _say,
    ) -> None:
        self.seconds_per_file = seconds_per_file
        self.path_of = path_of
        self.give_up = give_up
        self.overdue: DataError | None = None
        self._ending = threading.Event()
        self._loaders: list[OpenFiles] = []
        self._waited: dict[OpenFile, float] = {}
        self._thread: threading.Thread | None = None

    def watch(self, num_workers: int) -> OpenFiles:
        """Return the notes of a new loader; watched from now on."""
        files = OpenFiles(num_workers)
        self._loaders.append(files)
        if self._thread is None and self.seconds_per_file is not None:
            self._thread = threading.Thread(target=self._run, args=(self.seconds_per_file,))
            self._thread.daemon = True
            self._thread.start()
        return files

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn PyTorch's error of a dead worker into one that names the file it was reading.

        Raises:
            DataError: the process was killed because its file took too long.
            WorkerError: it died by itself, or by the kernel; or it hangs with no file open.
        """
        try:
            yield
        except RuntimeError as error:
            if str(error).startswith("DataLoader timed out"):
                raise WorkerError(
                    f"{error}: a loader process hangs, and has no file open; see what it waits "
                    "for, or raise data.seconds_per_file"
                ) from error
            if not str(error).startswith("DataLoader worker"):
                raise
            self._ending.set()
            raise self.overdue or self._died(str(error)) from error

    def _died(self, said: str) -> WorkerError:
        named = re.search(r"\(pid(?:\(s\))? ([\d, ]+)\)", said)
        died = {int(number) for number in named[1].split(",")} if named else set()
        rows = [file.row for files in self._loaders for file in files.now() if file.process in died]
        where = ", ".join(self.path_of(row) for row in rows) or "no file"
        return WorkerError(
            f"{said.rstrip('. ')}; it was reading {where}; often the machine is out of memory: "
            "lower data.num_workers"
        )

    def _run(self, limit: float) -> None:
        step = min(1.0, limit / 10)
        last = time.monotonic()
        while self.overdue is None:
            time.sleep(step)
            now = time.monotonic()
            # a rank that was stopped itself has not watched: it counts no more than it slept
            elapsed = min(now - last, 2 * step)
            last = now
            open_files = {file: files for files in list(self._loaders) for file in files.now()}
            self._waited = {
                file: self._waited[file] + elapsed if file in self._waited else 0.0
                for file in open_files
            }
            for file, waited in self._waited.items():
                if waited > limit:
                    self._end(file, open_files[file], limit)
                    return

    def _end(self, file: OpenFile, loader: OpenFiles, limit: float) -> None:
        self.overdue = DataError(
            f"{self.path_of(file.row)} has been read for more than {limit:g} s, and its loader "
            "process was killed: the decoder hangs on it, or the storage does not answer; mend or "
            "replace the file, or raise data.seconds_per_file"
        )
        for other in {file, *loader.now()}:  # none may be left behind that cannot be ended later
            if other.process != os.getpid():
                with suppress(ProcessLookupError):
                    os.kill(other.process, signal.SIGKILL)
        if file.process != os.getpid() and self._ending.wait(GRACE_SECONDS):
            return  # the main thread has met the error of the dead process
        self.give_up(self.overdue)
        os._exit(self.overdue.exit_code)
